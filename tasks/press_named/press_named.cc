// SPDX-License-Identifier: Apache-2.0
#include "tasks/press_named/press_named.h"

namespace kvla {
namespace {

constexpr PressLayout kLayout = {.chore = {.go = PressNamed::kGo,
                                           .chores = PressNamed::kChores,
                                           .first_place = PressNamed::kFirstPlace,
                                           .flashes = PressNamed::kFlashes,
                                           .go_seconds = kPressGoSeconds,
                                           .transfers_at_go = PressNamed::kTransfersAtGo,
                                           .memory = PressNamed::kMemorySize},
                                 .pressed = PressNamed::kPressed,
                                 .waypoint_depth = 0,
                                 .work_before_guess = true};

// No chance level: the fact that decides stands in the instruction, which every cache keeps. Who
// does not read it is right in one of four episodes, as colour and slots are drawn independently.
TaskInfo Info() {
  TaskInfo info = PressTaskInfo("press_named", "control",
                                "the first button pressed has the colour that the instruction "
                                "names and was pressed after the lamp turned white",
                                StageKind::kMotor);
  info.SetInstructions(
      {"carry the block back and forth until the white light, then press the {target} button",
       ("keep moving the block between the two places; "
        "when the light turns white, push the {target} button"),
       "move the block from side to side and, once the lamp is white, press {target}",
       ("the {target} button is the one to press when the lamp goes white; until then carry the "
        "block to and fro"),
       "shuttle the block until the lamp shines white; then hit the button that is {target}"},
      {"transport the block here and there, and at the white signal choose the {target} button",
       "work with the block until white light appears, then push down the button colored {target}",
       ("after the lamp becomes white, {target} is the button you must press; before that, go on "
        "carrying the block")});
  info.target_names.assign(kColorNames.begin(), kColorNames.end());
  info.num_targets = info.num_choices = kNumColors;
  return info;
}

}  // namespace

PressNamed::PressNamed(const std::filesystem::path& asset_root, const TaskOptions& options)
    : PressTask(asset_root, options, Info(), kLayout) {}

void PressNamed::DrawEpisode(Rng& rng, Scenario* scenario) const {
  Scenario& s = *scenario;
  const double wait = options().CuesAnywhere()
                          ? GoStep(s) * kControlPeriod
                          : DrawSeconds(rng, s.delay, {7.0, 10.0}, {16.0, 20.0}, {34.0, 38.0});
  s.target = rng.UniformInt(kNumColors);
  DrawColoredRow(rng, options(), kSlotColor, scenario);
  s.params[kLampBegin] = StepOf(rng.Uniform(1.0, wait - 2.0));
  s.params[kLampColor] = rng.UniformInt(kNumColors);
  SetGo(rng, StepOf(wait), kSecondsToPress, scenario);
}

void PressNamed::Show(World& world, const Scenario& scenario, bool go) const {
  const auto& params = scenario.params;
  const int step = world.control_steps();
  mjtNum* memory = world.data()->userdata;
  NewlyPressed(world, kRowOfFour, &memory[kDown]);
  if (!go && step >= params[kLampBegin] && step < params[kLampBegin] + kFlashSteps) {
    SetCueLamp(world, Lamp::kColor, static_cast<int>(params[kLampColor]));
  }
  ShowColoredRow(world, scenario, kSlotColor);
}

}  // namespace kvla
