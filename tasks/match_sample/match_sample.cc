// SPDX-License-Identifier: Apache-2.0
#include "tasks/match_sample/match_sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace kvla {
namespace {

constexpr int kCueSteps = 16;
constexpr double kLineUpX = 0.515;
constexpr Vec3 kStand = {0.735, 0, 0.020};  // the lamp's top
constexpr double kBelow = -0.5;             // where a shape waits

constexpr PressLayout kLayout = {.chore = {.go = MatchSample::kGo,
                                           .chores = MatchSample::kChores,
                                           .first_place = MatchSample::kFirstPlace,
                                           .flashes = MatchSample::kFlashes,
                                           .go_seconds = kPressGoSeconds,
                                           .transfers_at_go = MatchSample::kTransfersAtGo,
                                           .memory = MatchSample::kMemorySize},
                                 .pressed = MatchSample::kPressed};

// Where the script wants a shape that does not stand on the lamp.
Vec3 PlaceAt(const Scenario& s, int shape, int step) {
  const auto& params = s.params;
  const int slot = static_cast<int>(params[MatchSample::kSlotOf + static_cast<size_t>(shape)]);
  return {kLineUpX, MatchSample::SlotY(slot), step >= params[MatchSample::kLineUp] ? 0 : kBelow};
}

// Chance: which shape is shown and where each stands later are drawn independently and uniformly;
// one press decides between four slots: 1/4.
TaskInfo Info() {
  TaskInfo info = PressTaskInfo("match_sample", "reference",
                                "the first button pressed stands in front of the shape that was "
                                "shown and was pressed after the lamp turned white");
  info.SetInstructions(
      {("carry the block back and forth until the white light, then press the button in front "
        "of the shape that was shown"),
       ("keep moving the block between the two places; when the light turns white, push the "
        "button next to the shape that stood on the lamp before"),
       ("remember the shape on the lamp while you carry the block to and fro, and press its "
        "button in the line-up when the lamp goes white"),
       ("move the block from side to side, and once the lamp is white press the button of the "
        "shape that you saw alone"),
       ("shuttle the block until the lamp shines white; then hit the button by the same shape "
        "as the sample")},
      {("transport the block here and there, and at the white signal push whichever button "
        "belongs to the object you were shown"),
       ("a shape will appear for a moment: keep it in mind, go on carrying the block, and "
        "choose its button after the lamp becomes white"),
       ("work with the block until white light appears, then pick the matching shape from the "
        "row with its button")});
  info.chance = 1.0 / MatchSample::kShapes;
  info.needs_memory = true;
  info.num_targets = 2 * MatchSample::kShapes;
  info.num_choices = MatchSample::kShapes;
  info.bits.assign(info.delays.size(), std::log2(MatchSample::kShapes));
  info.has_twin = true;
  return info;
}

struct ShapeIds {
  explicit ShapeIds(NameLookup& names) {
    for (size_t i = 0; i < shapes.size(); ++i) shapes[i] = names.Mocap(fmt::format("shape{}", i));
  }
  std::array<int, MatchSample::kShapes> shapes{};  // in mjData.mocap_pos
};

}  // namespace

MatchSample::MatchSample(const std::filesystem::path& asset_root, const TaskOptions& options)
    : PressTask(asset_root, options, Info(), kLayout, {BindIds<ShapeIds>}) {}

int MatchSample::CueClass(const Scenario& scenario) const {
  return ShapeClass(static_cast<int>(scenario.params[kShown]));
}

void MatchSample::DrawEpisode(Rng& rng, Scenario* scenario) const {
  Scenario& s = *scenario;
  const int cue = DrawCue(rng, s, kCueSteps);
  const int go = DrawGo(rng, s, cue + kCueSteps, {6.0, 9.0}, {14.0, 18.0}, {33.0, 37.0});
  const std::array<int, kShapes> slots = DrawOrder(rng, options());
  const int shown = DrawClass(rng, kShapes, s);
  s.target = slots[static_cast<size_t>(shown)];
  s.cues = {{cue * kControlPeriod, (cue + kCueSteps) * kControlPeriod}};
  s.params[kCueBegin] = cue;
  s.params[kCueEnd] = cue + kCueSteps;
  // Where cues are anywhere the line-up must not tell when the sample was there.
  const int line_up = options().CuesAnywhere() ? go - StepOf(rng.Uniform(1.0, 2.0))
                                               : cue + kCueSteps + StepOf(rng.Uniform(1.5, 3.0));
  s.params[kLineUp] = line_up;
  SetGo(rng, go, kSecondsToPress, scenario);
  s.params[kShown] = shown;
  std::copy(slots.begin(), slots.end(), s.params.begin() + kSlotOf);
  for (int slot = 0; slot < kShapes; ++slot) s.target_places.push_back(RowOfFour(slot));
  DrawDecoys(rng, kCueSteps, kShapes, s.cues, scenario, line_up);
}

void MatchSample::Show(World& world, const Scenario& scenario, bool) const {
  const int step = world.control_steps();
  const bool cue = CueShown(scenario, step);
  const int stands = cue ? static_cast<int>(scenario.params[kShown]) : DecoyShown(scenario, step);
  ShowSign(world, scenario, cue);
  bool moved = false;
  for (int shape = 0; shape < kShapes; ++shape) {
    const int mocap = world.Ids<ShapeIds>().shapes[static_cast<size_t>(shape)];
    mjtNum* at = world.data()->mocap_pos + 3 * mocap;
    const Vec3 place = shape == stands ? kStand : PlaceAt(scenario, shape, step);
    moved |= !std::equal(place.begin(), place.end(), at);
    std::copy(place.begin(), place.end(), at);
  }
  // What stands elsewhere now is drawn there now, not after the next step.
  if (moved) world.Forward();
}

}  // namespace kvla
