// SPDX-License-Identifier: Apache-2.0
#include "tasks/recall_color/recall_color.h"

#include <cmath>

namespace kvla {
namespace {

constexpr PressLayout kLayout = {.chore = {.go = RecallColor::kGo,
                                           .chores = RecallColor::kChores,
                                           .first_place = RecallColor::kFirstPlace,
                                           .flashes = RecallColor::kFlashes,
                                           .go_seconds = kPressGoSeconds,
                                           .chore = RecallColor::kChore,
                                           .transfers_at_go = RecallColor::kTransfersAtGo,
                                           .memory = RecallColor::kMemorySize},
                                 .pressed = RecallColor::kPressed};

// Chance: the colour of the lamp and which button has which colour are drawn independently and
// uniformly; one press decides between four: 1/4.
TaskInfo Info() {
  TaskInfo info = PressTaskInfo(
      "recall_color", "object",
      "the first button pressed has the cued colour and was pressed after the lamp turned white");
  info.SetInstructions(
      {("carry the block back and forth until the white light, then press the button of the color "
        "the lamp showed"),
       ("keep moving the block between the two places; when the light turns white, push the button "
        "with the color that the lamp showed before"),
       ("move the block from side to side, and once the lamp is white press the button in the color "
        "it had earlier"),
       ("remember the color of the lamp while you carry the block to and fro, and press that "
        "color's button when the lamp goes white"),
       ("shuttle the block until the lamp shines white; "
        "then hit the button that has the lamp's earlier color")},
      {("transport the block here and there, and at the white signal push whichever button matches "
        "the color you saw on the lamp"),
       ("work with the block until white light appears, "
        "then choose the button colored like the lamp was"),
       ("the lamp will show a color: keep it in mind, go on carrying the block, and press the "
        "matching button after the lamp becomes white")});
  info.chance = 1.0 / kNumColors;
  info.needs_memory = true;
  info.num_targets = info.num_choices = kNumColors;
  info.bits.assign(info.delays.size(), std::log2(kNumColors));
  info.has_twin = true;
  return info;
}

}  // namespace

RecallColor::RecallColor(const std::filesystem::path& asset_root, const TaskOptions& options)
    : PressTask(asset_root, options, Info(), kLayout) {}

void RecallColor::DrawEpisode(Rng& rng, Scenario* scenario) const {
  Scenario& s = *scenario;
  const int cue = DrawCue(rng, s, kFlashSteps);
  const int go = DrawGo(rng, s, cue + kFlashSteps, {6.0, 9.0}, {14.0, 18.0}, {35.5, 39.0});
  s.target = DrawClass(rng, kNumColors, s);
  s.cues = {{cue / kControlRateHz, (cue + kFlashSteps) / kControlRateHz}};
  DrawColoredRow(rng, options(), kSlotColor, scenario);
  s.params[kCueBegin] = cue;
  s.params[kCueEnd] = cue + kFlashSteps;
  SetGo(rng, go, kSecondsToPress, scenario);
  DrawDecoys(rng, kFlashSteps, kNumColors, s.cues, scenario);
}

// As PlaceChore(), but its numbers are drawn in the order in which the first compiler of this task
// drew them: its episodes rest on that.
void RecallColor::PlaceWork(World& world, Rng& rng, const Scenario& scenario) const {
  const double first = scenario.params[kFirstPlace];
  const auto& place = first > 0 ? kPad : kTray;
  const double yaw = rng.Uniform(-0.15, 0.15);
  const auto [y, x] = DrawScatter(rng, kPlaceScatter, options().HeldOut());
  PlaceBlock(world, place[0] + x, place[1] + y, yaw);
  world.data()->userdata[kChore + size_t{kChorePlace}] = first;
}

void RecallColor::Show(World& world, const Scenario& scenario, bool) const {
  const int step = world.control_steps();
  ShowOnLamp(world, scenario, CueShown(scenario, step) ? scenario.target : -1);
  ShowColoredRow(world, scenario, kSlotColor);
}

}  // namespace kvla
