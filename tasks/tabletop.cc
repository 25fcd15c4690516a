// SPDX-License-Identifier: Apache-2.0
#include "tasks/tabletop.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kvla {
namespace {

constexpr float kOpen = -1;
constexpr float kClose = 1;
constexpr double kCruise = 0.075;  // height of the pinch point while carrying
constexpr double kApproachBack = 0.055;
constexpr double kRetreatHeight = 0.11;
constexpr double kGripHeight = 0.020;  // of the pinch point when it closes on a resting block

// The classes' colours, then the sign's.
constexpr int kHeedColor = kNumColors;
constexpr int kIgnoreColor = kNumColors + 1;
constexpr float kRgba[kNumColors + 2][4] = {{0.90f, 0.06f, 0.06f, 1}, {0.06f, 0.72f, 0.12f, 1},
                                            {0.08f, 0.20f, 0.95f, 1}, {0.95f, 0.85f, 0.05f, 1},
                                            {0.95f, 0.10f, 0.85f, 1}, {0.10f, 0.85f, 0.95f, 1}};
constexpr double kHeldOutScatter = 1.6;  // times that of seen layouts
constexpr float kOffRgba[4] = {0.16f, 0.16f, 0.17f, 1};
constexpr float kWhiteRgba[4] = {1, 1, 1, 1};
constexpr float kHiddenRgba[4] = {0, 0, 0, 0};

double Width(const World& world) { return world.arm().GripperWidth(world.data()); }

BlockIds Which(const World& world, const std::optional<BlockIds>& block) {
  return block.has_value() ? *block : world.Ids<TabletopIds>().block;
}

// The block is between the pads and they press on it.
bool Held(const World& world, const Vec3& ee, const Vec3& block) {
  const double width = Width(world);
  return width > 0.036 && width < 0.052 && Distance(ee, block) < 0.025;
}

}  // namespace

double Distance(const Vec3& a, const Vec3& b) {
  return std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

double HorizontalDistance(const Vec3& a, const Vec3& b) {
  return std::hypot(a[0] - b[0], a[1] - b[1]);
}

BlockIds FindBlock(NameLookup& names, const std::string& name) {
  return {.body = names.Id(mjOBJ_BODY, name), .joint = names.Id(mjOBJ_JOINT, name)};
}

TabletopIds::TabletopIds(NameLookup& names)
    : cue_lamp(names.Id(mjOBJ_GEOM, "cue_lamp")),
      cue_sign(names.Id(mjOBJ_GEOM, "cue_sign")),
      lights(names.Numbered(mjOBJ_GEOM, "light", kNumLights)),
      block(FindBlock(names, "block")) {}

Vec3 BlockPosition(const World& world, const std::optional<BlockIds>& block) {
  const mjtNum* p = world.data()->xpos + 3 * Which(world, block).body;
  return {p[0], p[1], p[2]};
}

void PlaceBlock(World& world, double x, double y, double yaw,
                const std::optional<BlockIds>& block) {
  mjtNum* q = world.data()->qpos + world.model()->jnt_qposadr[Which(world, block).joint];
  q[0] = x;
  q[1] = y;
  q[2] = kBlockHalf;
  q[3] = std::cos(yaw / 2);
  q[4] = q[5] = 0;
  q[6] = std::sin(yaw / 2);
}

std::vector<Flash> DrawFlashes(Rng& rng, int horizon, int keep_begin, int keep_end) {
  std::vector<Flash> flashes;
  for (int light = 0; light < kNumLights; ++light) {
    double t = rng.Uniform(0.5, 4.0) * kControlRateHz;
    while (t < horizon) {
      const Flash flash{light, static_cast<int>(t), rng.UniformInt(kNumColors)};
      if (flash.begin >= keep_end || flash.begin + kFlashSteps <= keep_begin) {
        flashes.push_back(flash);
      }
      t += kFlashSteps + rng.Uniform(1.5, 5.0) * kControlRateHz;
    }
  }
  return flashes;
}

void AppendFlashes(const std::vector<Flash>& flashes, std::vector<double>* params) {
  params->push_back(static_cast<double>(flashes.size()));
  for (const Flash& f : flashes) {
    params->insert(params->end(), {static_cast<double>(f.light), static_cast<double>(f.begin),
                                   static_cast<double>(f.color)});
  }
}

void ShowFlashes(World& world, const std::vector<double>& params, size_t first, int step) {
  std::array<int, kNumLights> lit;
  lit.fill(-1);
  const size_t n = static_cast<size_t>(params[first]);
  for (size_t i = 0; i < n; ++i) {
    const double* f = &params[first + 1 + 3 * i];
    if (step >= f[1] && step < f[1] + kFlashSteps) {
      lit[static_cast<int>(f[0])] = static_cast<int>(f[2]);
    }
  }
  const std::vector<int>& lights = world.Ids<TabletopIds>().lights;
  for (size_t light = 0; light < lights.size(); ++light) {
    SetColor(world, lights[light], lit[light] < 0 ? Lamp::kOff : Lamp::kColor,
             std::max(lit[light], 0));
  }
}

void SetColor(World& world, int geom, Lamp lamp, int color) {
  const float* rgba = lamp == Lamp::kOff      ? kOffRgba
                      : lamp == Lamp::kWhite  ? kWhiteRgba
                      : lamp == Lamp::kHidden ? kHiddenRgba
                                              : kRgba[color];
  std::copy_n(rgba, 4, world.model()->geom_rgba + 4 * geom);
}

void SetCueSign(World& world, Sign sign) {
  SetColor(world, world.Ids<TabletopIds>().cue_sign,
           sign == Sign::kNone ? Lamp::kHidden : Lamp::kColor,
           sign == Sign::kIgnore ? kIgnoreColor : kHeedColor);
}

void SetCueLamp(World& world, Lamp lamp, int color) {
  SetColor(world, world.Ids<TabletopIds>().cue_lamp, lamp, color);
}

std::array<double, 2> DrawScatter(Rng& rng, double scatter, bool held_out) {
  const double most = held_out ? kHeldOutScatter * scatter : scatter;
  std::array<double, 2> offset{};
  do {
    for (double& along : offset) along = rng.Uniform(-most, most);
  } while (held_out && std::max(std::abs(offset[0]), std::abs(offset[1])) <= scatter);
  return offset;
}

Result<Scenario> StartScenario(const TaskInfo& info, const EpisodeKey& key) {
  if (std::find(info.delays.begin(), info.delays.end(), key.delay) == info.delays.end()) {
    std::string known;
    for (const std::string& d : info.delays) known += (known.empty() ? "" : ", ") + d;
    return BadInput(
        fmt::format("task '{}' has no delay '{}'; it has: {}", info.name, key.delay, known));
  }
  Scenario s;
  s.split = key.split;
  s.run_seed = key.run_seed;
  s.task = info.name;
  s.delay = key.delay;
  s.episode = key.episode;
  s.twin = key.twin;
  s.instruction = info.instruction;
  return s;
}

Action MoveTowards(const Pose& ee, const Vec3& target, float grip, double max_step) {
  Pose goal{ee.position, kGripperDown};
  const double distance = Distance(ee.position, target);
  if (distance > 1e-9) {
    // 45% of the way a step, but never more than max_step.
    const double step = std::min(max_step, 0.45 * distance) / distance;
    for (int i = 0; i < 3; ++i) goal.position[i] += step * (target[i] - ee.position[i]);
  }
  return ActionTowards(ee, goal, grip);
}

CarrySkill::Phase CarrySkill::Advance(const World& world,
                                      const std::array<double, 2>& destination) const {
  const Vec3 ee = world.EndEffector().position;
  const Vec3 block = BlockPosition(world, block_);
  const double width = Width(world);
  const bool resting = block[2] < kBlockHalf + 0.006;
  const Vec3 drop = {destination[0], destination[1], ee[2]};
  const bool lost = !Held(world, ee, block);
  switch (phase_) {
    case Phase::kHome:
      if (Held(world, ee, block)) return Phase::kLift;
      return Distance(ee, kHome) < 0.05 && width > 0.07 ? Phase::kApproach : Phase::kHome;
    case Phase::kApproach:
      return Distance(ee, waypoint_) < 0.02 ? Phase::kDescend : Phase::kApproach;
    case Phase::kDescend:
      if (std::abs(ee[1] - block[1]) > 0.014 && ee[2] < 0.05) return Phase::kRetreat;
      return HorizontalDistance(ee, block) < 0.006 && std::abs(ee[2] - kGripHeight) < 0.005
                 ? Phase::kGrasp
                 : Phase::kDescend;
    case Phase::kGrasp:
      if (width < 0.036 || Distance(ee, block) > 0.03) return Phase::kRetreat;
      return width < 0.0475 ? Phase::kLift : Phase::kGrasp;
    case Phase::kLift:
      if (lost) return Phase::kRetreat;
      return ee[2] > kCruise - 0.012 ? Phase::kCarry : Phase::kLift;
    case Phase::kCarry:
      if (lost) return Phase::kRetreat;
      return HorizontalDistance(ee, drop) < 0.010 ? Phase::kLower : Phase::kCarry;
    case Phase::kLower:
      if (lost && !resting) return Phase::kRetreat;
      return resting ? Phase::kRelease : Phase::kLower;
    case Phase::kRelease:
      return width > 0.058 ? Phase::kRetreat : Phase::kRelease;
    case Phase::kRetreat:
      return ee[2] > kRetreatHeight - 0.02 ? Phase::kHome : Phase::kRetreat;
  }
  return Phase::kHome;
}

Vec3 CarrySkill::Approach(const Vec3& block) {
  return {block[0] - kApproachBack, block[1], kCruise};
}

Action CarrySkill::Act(const World& world, const std::array<double, 2>& destination) {
  phase_ = Advance(world, destination);
  const Pose ee = world.EndEffector();
  const Vec3 block = BlockPosition(world, block_);
  const Vec3& p = ee.position;
  Vec3 target = kHome;
  float grip = kOpen;
  waypoint_ = kHome;
  switch (phase_) {
    case Phase::kHome:
      break;
    case Phase::kApproach:
      target = Approach(block);
      waypoint_ = target;
      break;
    case Phase::kDescend:
      target = {block[0], block[1], kGripHeight};
      waypoint_ = target;
      break;
    case Phase::kGrasp:
      target = waypoint_ = {block[0], block[1], kGripHeight};
      grip = kClose;
      break;
    case Phase::kLift:
    case Phase::kCarry:
    case Phase::kLower: {
      grip = kClose;
      waypoint_ = {destination[0], destination[1], kGripHeight};
      // Lifting begins to move sideways before it ends, and lowering begins above the place.
      target = phase_ == Phase::kLift    ? Vec3{p[0], p[1], kCruise + 0.01}
               : phase_ == Phase::kCarry ? Vec3{destination[0], destination[1], kCruise}
                                         : waypoint_;
      break;
    }
    case Phase::kRelease:
      target = p;
      waypoint_ = {p[0], p[1], kRetreatHeight};
      break;
    case Phase::kRetreat:
      target = waypoint_ = {p[0], p[1], kRetreatHeight};
      break;
  }
  return MoveTowards(ee, target, grip);
}

}  // namespace kvla
