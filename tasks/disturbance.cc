// SPDX-License-Identifier: Apache-2.0
#include "tasks/disturbance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace kvla {
namespace {

constexpr double kPi = 3.14159265358979323846;

// Sizes of one level. A knock of v m/s slides an object on the table by about v^2 / 20 metres.
struct Sizes {
  double knock_gap_s;     // mean time between two knocks
  double knock_speed;     // metres per second, at most
  double position_noise;  // of the sensed hand, metres, standard deviation
  double width_noise;     // of the sensed opening, metres
  double joint_noise;     // radians, radians per second
  double camera_shift;    // metres an axis, at most; a third of it for a camera on the arm
  double camera_turn;     // radians, at most
  double light_change;    // share of the brightness, at most
  double light_turn;      // of its direction, radians
};
constexpr Sizes kMildSizes = {10, 0.35, 0.002, 0.0005, 0.002, 0.010, 0.008, 0.15, 0.15};
constexpr Sizes kStrongSizes = {5, 0.65, 0.005, 0.0015, 0.005, 0.025, 0.020, 0.40, 0.40};

const Sizes& SizesOf(DisturbanceLevel level) {
  return level == DisturbanceLevel::kStrong ? kStrongSizes : kMildSizes;
}

// What stands on the table within the arm's reach can be knocked; what is stowed away cannot.
bool OnTable(const mjtNum* p) {
  return p[0] > 0.15 && p[0] < 0.85 && std::abs(p[1]) < 0.45 && p[2] > -0.01 && p[2] < 0.40;
}

}  // namespace

Result<DisturbanceLevel> ParseDisturbance(const std::string& name) {
  if (name == "none") return DisturbanceLevel::kNone;
  if (name == "mild") return DisturbanceLevel::kMild;
  if (name == "strong") return DisturbanceLevel::kStrong;
  return BadInput(fmt::format("unknown disturbance '{}'{}", name,
                              DidYouMean(name, {"none", "mild", "strong"})));
}

const char* DisturbanceName(DisturbanceLevel level) {
  switch (level) {
    case DisturbanceLevel::kMild:
      return "mild";
    case DisturbanceLevel::kStrong:
      return "strong";
    case DisturbanceLevel::kNone:
      break;
  }
  return "none";
}

Disturbance::Disturbance(DisturbanceLevel level, const Scenario& scenario, World* world)
    : level_(level), scenario_(scenario), world_(world) {
  if (level_ == DisturbanceLevel::kNone) return;
  const Sizes& sizes = SizesOf(level_);
  Rng rng(scenario_.Key(), "disturbance/knocks");
  const double horizon_s = scenario_.horizon_steps / kControlRateHz;
  double t = rng.Uniform(0.2, 1.2) * sizes.knock_gap_s;
  while (t < horizon_s) {
    const double angle = rng.Uniform(0, 2 * kPi);
    const double speed = sizes.knock_speed * rng.Uniform(0.4, 1.0);
    knocks_.push_back({static_cast<int>(t * kControlRateHz),
                       rng.Uniform(),
                       {speed * std::cos(angle), speed * std::sin(angle)}});
    t += rng.Uniform(0.6, 1.4) * sizes.knock_gap_s;
  }
  Shift();
}

Disturbance::~Disturbance() {
  if (level_ != DisturbanceLevel::kNone) Restore();
}

void Disturbance::Shift() {
  mjModel* m = world_->model();
  kept_.cam_pos.assign(m->cam_pos, m->cam_pos + 3 * m->ncam);
  kept_.cam_quat.assign(m->cam_quat, m->cam_quat + 4 * m->ncam);
  kept_.light_dir.assign(m->light_dir, m->light_dir + 3 * m->nlight);
  kept_.light_diffuse.assign(m->light_diffuse, m->light_diffuse + 3 * m->nlight);
  std::copy_n(m->vis.headlight.ambient, 3, kept_.ambient.begin());
  std::copy_n(m->vis.headlight.diffuse, 3, kept_.diffuse.begin());

  const Sizes& sizes = SizesOf(level_);
  Rng rng(scenario_.Key(), "disturbance/view");
  for (int c = 0; c < m->ncam; ++c) {
    const double share = m->cam_bodyid[c] == 0 ? 1.0 : 1.0 / 3;
    const double turn_most = share * sizes.camera_turn;
    std::array<double, 4> quaternion;
    std::array<double, 3> turn;
    for (int i = 0; i < 3; ++i) {
      m->cam_pos[3 * c + i] += share * rng.Uniform(-sizes.camera_shift, sizes.camera_shift);
      turn[static_cast<size_t>(i)] = rng.Uniform(-turn_most, turn_most);
    }
    std::copy_n(m->cam_quat + 4 * c, 4, quaternion.begin());
    quaternion = Rotate(quaternion, turn);
    std::copy(quaternion.begin(), quaternion.end(), m->cam_quat + 4 * c);
  }
  const auto change = [&] {
    return static_cast<float>(1 + rng.Uniform(-sizes.light_change, sizes.light_change));
  };
  const float head = change();
  for (float& v : m->vis.headlight.ambient) v *= head;
  for (float& v : m->vis.headlight.diffuse) v *= head;
  for (int light = 0; light < m->nlight; ++light) {
    const float brightness = change();
    for (int i = 0; i < 3; ++i) {
      m->light_diffuse[3 * light + i] *= brightness;
      m->light_dir[3 * light + i] += rng.Uniform(-sizes.light_turn, sizes.light_turn);
    }
    mju_normalize3(m->light_dir + 3 * light);
  }
  world_->Forward();
}

void Disturbance::Restore() {
  mjModel* m = world_->model();
  std::copy(kept_.cam_pos.begin(), kept_.cam_pos.end(), m->cam_pos);
  std::copy(kept_.cam_quat.begin(), kept_.cam_quat.end(), m->cam_quat);
  std::copy(kept_.light_dir.begin(), kept_.light_dir.end(), m->light_dir);
  std::copy(kept_.light_diffuse.begin(), kept_.light_diffuse.end(), m->light_diffuse);
  std::copy(kept_.ambient.begin(), kept_.ambient.end(), m->vis.headlight.ambient);
  std::copy(kept_.diffuse.begin(), kept_.diffuse.end(), m->vis.headlight.diffuse);
  world_->Forward();
}

std::vector<int> Disturbance::LooseObjects() const {
  const mjModel* m = world_->model();
  std::vector<int> loose;
  for (int j = 0; j < m->njnt; ++j) {
    if (m->jnt_type[j] != mjJNT_FREE) continue;
    if (OnTable(world_->data()->qpos + m->jnt_qposadr[j])) loose.push_back(j);
  }
  return loose;
}

void Disturbance::Push() {
  const int step = world_->control_steps();
  for (; next_ < knocks_.size() && knocks_[next_].step <= step; ++next_) {
    const std::vector<int> loose = LooseObjects();
    if (loose.empty() || knocks_[next_].step < step) continue;
    const Knock& knock = knocks_[next_];
    const int joint = loose[static_cast<size_t>(knock.which * static_cast<double>(loose.size()))];
    mjtNum* velocity = world_->data()->qvel + world_->model()->jnt_dofadr[joint];
    velocity[0] += knock.velocity[0];
    velocity[1] += knock.velocity[1];
  }
}

Proprioception Disturbance::Sense(const Proprioception& clean) const {
  if (level_ == DisturbanceLevel::kNone) return clean;
  const Sizes& sizes = SizesOf(level_);
  Rng key(scenario_.Key(), "disturbance/sensors");
  // One stream a control step, so that the noise does not depend on when it was asked for.
  Rng rng(key.NextU64() ^ StableHash(fmt::format("{}", world_->control_steps())));
  Proprioception p = clean;
  for (double& v : p.ee.position) v += sizes.position_noise * rng.Normal();
  p.gripper_width = std::clamp(p.gripper_width + sizes.width_noise * rng.Normal(), 0.0, 0.08);
  for (double& v : p.joint_positions) v += sizes.joint_noise * rng.Normal();
  for (double& v : p.joint_velocities) v += sizes.joint_noise * rng.Normal();
  return p;
}

}  // namespace kvla
