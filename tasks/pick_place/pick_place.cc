// SPDX-License-Identifier: Apache-2.0
#include "tasks/pick_place/pick_place.h"

#include "tasks/chore.h"
#include "tasks/tabletop.h"

namespace kvla {
namespace {

constexpr int kHorizonSteps = 160;
constexpr double kOnTray = 0.045;       // block centre to tray centre, metres
constexpr double kRisenHeight = 0.085;  // of the pinch point

bool OnTray(const World& world) {
  const Vec3 block = BlockPosition(world);
  return HorizontalDistance(block, {kTray[0], kTray[1], 0}) < kOnTray &&
         block[2] < kBlockHalf + 0.006;
}

class PickPlaceExpert : public Expert {
 public:
  explicit PickPlaceExpert(Rng rng)
      : destination_{kTray[0] + rng.Uniform(-0.008, 0.008), kTray[1] + rng.Uniform(-0.008, 0.008)} {
  }

  Action Act(const World& world) override {
    if (!carry_.busy() && OnTray(world)) {
      label_.waypoint = CarrySkill::kHome;
      return MoveTowards(world.EndEffector(), CarrySkill::kHome, -1);
    }
    const Action action = carry_.Act(world, destination_);
    label_.waypoint = carry_.waypoint();
    return action;
  }
  ExpertLabel Label() const override { return label_; }

 private:
  CarrySkill carry_;
  std::array<double, 2> destination_;
  ExpertLabel label_;
};

}  // namespace

PickPlace::PickPlace(const std::filesystem::path& asset_root, const TaskOptions& options)
    : options_(options), scene_(asset_root / "tasks" / "pick_place" / "scene.xml") {
  info_.name = "pick_place";
  info_.family = "control";
  info_.delays = {"short"};
  info_.stages = {{"lifted", StageKind::kMotor},
                  {"placed", StageKind::kMotor},
                  {"released", StageKind::kMotor}};
  info_.success_rule =
      "final: the block rests on the tray, the gripper has let go of it and has risen";
  info_.SetInstructions(
      {"put the block on the tray", "place the block on the tray", "move the block to the tray",
       "pick up the block and set it down on the tray", "carry the block over to the dark tray"},
      {"grab the block and lay it on the tray", "bring the cube to the tray",
       "the block belongs on the tray, take it there"});
}

Result<Scenario> PickPlace::Draw(const EpisodeKey& key) const {
  auto started = StartScenario(info_, key);
  if (!started.ok()) return started;
  Scenario s = *std::move(started);
  s.horizon_steps = kHorizonSteps;
  Rng rng(key, "scenario");
  AppendFlashes(DrawFlashes(rng, s.horizon_steps, 0, 0), &s.params);
  return s;
}

Result<Scenario> PickPlace::Place(World& world, const EpisodeKey& key) const {
  auto drawn = Draw(key);
  if (!drawn.ok()) return drawn;
  if (Status s = world.Reset(); !s.ok()) return s;
  if (Status s = CheckScene(world, {}, kMemorySize); !s.ok()) return s;
  Rng rng(key, "placement");
  const double x = options_.HeldOut() ? rng.Uniform(0.56, 0.61) : rng.Uniform(0.37, 0.54);
  const double y = rng.Uniform(-0.02, 0.20);
  PlaceBlock(world, x, y, rng.Uniform(-0.2, 0.2));
  world.Forward();
  Update(world, *drawn);
  return drawn;
}

void PickPlace::Update(World& world, const Scenario& scenario) const {
  mjtNum* memory = world.data()->userdata;
  if (BlockPosition(world)[2] > kBlockHalf + 0.03) memory[kLifted] = 1;
  if (memory[kLifted] > 0 && OnTray(world)) memory[kPlaced] = 1;
  SetCueLamp(world, Lamp::kOff);
  SetCueSign(world, Sign::kNone);
  ShowFlashes(world, scenario.params, 0, world.control_steps());
}

Progress PickPlace::Evaluate(const World& world, const Scenario&) const {
  const mjtNum* memory = world.data()->userdata;
  const bool released = OnTray(world) && world.arm().GripperWidth(world.data()) > 0.055 &&
                        world.EndEffector().position[2] > kRisenHeight;
  Progress p;
  p.reached = {memory[kLifted] > 0, memory[kPlaced] > 0, memory[kPlaced] > 0 && released};
  p.success = p.done = p.reached.back();
  return p;
}

std::unique_ptr<Expert> PickPlace::MakeExpert(const Scenario&, bool, Rng rng) const {
  return std::make_unique<PickPlaceExpert>(rng);
}

}  // namespace kvla
