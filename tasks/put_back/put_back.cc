// SPDX-License-Identifier: Apache-2.0
#include "tasks/put_back/put_back.h"

#include <algorithm>
#include <cmath>

#include "tasks/buttons.h"
#include "tasks/put_back/put_back_expert.h"

namespace kvla {
namespace {

constexpr double kSeenSeconds = 2;       // that the block is sure to stand on its pad
constexpr double kSecondsToTake = 10;    // from its arrival, to the tray
constexpr double kSecondsPerPress = 4;   // a press is owed for each such stretch of the rest
constexpr double kSecondsToReturn = 12;  // after go
constexpr double kPlaceRadius = 0.05;
constexpr double kRestingHeight = kBlockHalf + 0.006;
constexpr double kLetGoWidth = 0.052;
constexpr int kLitColor = 3;                         // yellow
constexpr std::array<double, 2> kShelf = {1.70, 0};  // where the block waits
constexpr double kScatter = 0.010;

bool RestsAt(const World& world, const std::array<double, 2>& place) {
  const Vec3 block = BlockPosition(world);
  return HorizontalDistance(block, {place[0], place[1], 0}) < kPlaceRadius &&
         block[2] < kRestingHeight && world.arm().GripperWidth(world.data()) > kLetGoWidth;
}

// The lit button and the presses stand for the block's place and its transfers.
constexpr ChoreLayout kLayout = {.go = PutBack::kGo,
                                 .chores = PutBack::kPresses,
                                 .first_place = PutBack::kFirstLit,
                                 .flashes = PutBack::kFlashes,
                                 .chore = PutBack::kLit,
                                 .transfers_at_go = PutBack::kPressedAtGo,
                                 .memory = PutBack::kMemorySize};
static_assert(PutBack::kPressed == size_t{PutBack::kLit} + kChoreTransfers);

// Chance: the pad is drawn uniformly from four; all of them are empty and alike when the block must
// go back, and the first pad it is put on decides: 1/4.
TaskInfo Info() {
  TaskInfo info = ChoreTaskInfo("put_back", "place", "");
  info.stages = {{"taken", StageKind::kMotor},
                 {"kept_working", StageKind::kMotor},
                 {"returned", StageKind::kMotor},
                 {"right", StageKind::kDecisive}};
  info.success_rule =
      "final: the block was taken to the tray, the first pad it was put on again is the one where "
      "it had appeared, after the lamp turned white, and a lit button was pressed for every 4 s "
      "before that, but for 10 s that fetching the block takes";
  info.SetInstructions(
      {("press the lit button again and again, take the block to the tray when it appears, and at "
        "the white light put it back on its pad"),
       ("keep pressing whichever button is lit; carry the block to the tray once it is there, and "
        "when the light turns white return it to the pad it came from"),
       ("push the lit buttons, move the block that appears onto the tray, and once the lamp is "
        "white put the block back where it stood"),
       ("remember on which pad the block appears: "
        "bring it to the tray, go on pressing the lit button, "
        "and put it back there when the lamp goes white"),
       ("work the lit buttons, fetch the block to the tray, and after the white light set it down "
        "on its old pad")},
      {("hit each button that glows, bring the cube to the tray when it shows up, and at the white "
        "signal take it back to its former place"),
       ("go on with the glowing buttons, store the block on the tray, and return it to the same pad "
        "when white light appears"),
       ("a block will show up on a pad: lay it on the tray, press buttons until the lamp becomes "
        "white, then restore the block to the pad where you found it")});
  info.chance = 1.0 / PutBack::kPads;
  info.needs_memory = true;
  info.num_targets = info.num_choices = PutBack::kPads;
  return info;
}

}  // namespace

PutBack::PutBack(const std::filesystem::path& asset_root, const TaskOptions& options)
    : ChoreTask(asset_root, options, Info(), kLayout, {BindIds<Buttons<kButtons>>}) {}

std::array<double, 2> PutBack::PadPlace(int pad) { return {0.58, -0.21 + 0.14 * pad}; }
Vec3 PutBack::ButtonPlace(int button) { return {0.42, 0.03 + 0.15 * button, kButtonTop}; }

void PutBack::DrawEpisode(Rng& rng, Scenario* scenario) const {
  Scenario& s = *scenario;
  const int arrive = StepOf(rng.Uniform(4.0, 8.0));
  const int seen = arrive + StepOf(kSeenSeconds);
  const double delay = DrawSeconds(rng, s.delay, {9.0, 12.0}, {17.0, 21.0}, {36.0, 40.0});
  const int go = seen + StepOf(delay);
  s.target = rng.UniformInt(kPads);
  s.cues = {{arrive * kControlPeriod, seen * kControlPeriod}};
  SetGo(rng, go, kSecondsToReturn, scenario);
  s.params[kArrive] = arrive;
  s.params[kPresses] =
      std::max(1.0, std::floor((go * kControlPeriod - kSecondsToTake) / kSecondsPerPress));
  s.params[kX] = rng.Uniform(-kScatter, kScatter);
  s.params[kY] = rng.Uniform(-kScatter, kScatter);
  s.params[kYaw] = rng.Uniform(-0.15, 0.15);
  for (int pad = 0; pad < kPads; ++pad) {
    const auto place = PadPlace(pad);
    s.target_places.push_back({place[0], place[1], kBlockHalf});
  }
}

void PutBack::PlaceWork(World& world, Rng& rng, const Scenario& scenario) const {
  const double x = kShelf[0] + rng.Uniform(-kScatter, kScatter);
  PlaceBlock(world, x, kShelf[1] + rng.Uniform(-kScatter, kScatter), 0);
  world.data()->userdata[kLit] = scenario.params[kFirstLit];
}

void PutBack::UpdateWork(World& world, const Scenario& scenario) const {
  mjtNum* memory = world.data()->userdata;
  const int step = world.control_steps();
  const auto& params = scenario.params;
  if (step >= params[kArrive] && memory[kArrived] == 0) {
    const auto pad = PadPlace(scenario.target);
    PlaceBlock(world, pad[0] + params[kX], pad[1] + params[kY], params[kYaw]);
    const int joint = world.Ids<TabletopIds>().block.joint;
    mju_zero(world.data()->qvel + world.model()->jnt_dofadr[joint], 6);
    memory[kArrived] = 1;
    world.Forward();
  }
  if (memory[kArrived] > 0 && RestsAt(world, kTray)) memory[kTaken] = 1;
  for (int pad = 0; pad < kPads && memory[kTaken] > 0; ++pad) {
    if (RestsAt(world, PadPlace(pad))) KeepChoice(world, pad, kPlaced);
  }
  const int button = NewlyPressed(world, kButtons, &memory[kDown]);
  if (button == static_cast<int>(memory[kLit])) {
    memory[kPressed] += 1;
    memory[kLit] = 1 - button;
  }
}

std::vector<bool> PutBack::WorkStages(const World& world, bool worked) const {
  return {world.data()->userdata[kTaken] > 0, worked};
}

void PutBack::Play(World& world, const Scenario&, bool) const {
  for (int b = 0; b < kButtons; ++b) {
    const bool lit = b == static_cast<int>(world.data()->userdata[kLit]);
    SetCap(world, b, lit ? Lamp::kColor : Lamp::kOff, kLitColor);
  }
}

ChoreTask::Verdict PutBack::Judge(const World& world, const Scenario& scenario) const {
  return FirstChoice(world, scenario, kPlaced, scenario.target);
}

std::unique_ptr<Expert> PutBack::MakeExpert(const Scenario& scenario, bool blind, Rng rng) const {
  return std::make_unique<PutBackExpert>(scenario, blind, rng);
}

}  // namespace kvla
