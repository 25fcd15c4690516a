// SPDX-License-Identifier: Apache-2.0
#include "tasks/odd_one_out/odd_one_out.h"

namespace kvla {
namespace {

constexpr int kCueSteps = 20;
constexpr PressLayout kLayout = {.chore = {.flashes = OddOneOut::kFlashes, .memory = 5}};

// Chance: the slot of the odd ball is drawn uniformly and independently of both colours, the
// buttons are alike, and one press decides between four: 1/4.
TaskInfo Info() {
  TaskInfo info = PressTaskInfo("odd_one_out", "object",
                                "the first button pressed is the one before which the odd ball "
                                "stood and was pressed after the lamp turned white");
  info.SetInstructions(
      {("carry the block back and forth until the white light, then press the button of the ball "
        "that differed from the others"),
       ("keep moving the block between the two places; when the light turns white, push the button "
        "where the odd ball stood"),
       ("remember which of the four balls had another color while you carry the block to and fro, "
        "and press its button when the lamp goes white"),
       ("move the block from side to side, and once the lamp is white press the button behind the "
        "one ball that was unlike the rest"),
       "shuttle the block until the lamp shines white; then hit the button of the odd one out"},
      {("transport the block here and there, and at the white signal push the button that belongs "
        "to the only ball of its color"),
       ("four balls will appear for a moment, three of them alike: keep the other one's place in "
        "mind, go on carrying the block, and choose its button after the lamp becomes white"),
       ("work with the block until white light appears, then pick the button next to which the "
        "differently colored ball was")});
  info.chance = 1.0 / kRowOfFour;
  info.needs_memory = true;
  info.num_targets = info.num_choices = kRowOfFour;
  return info;
}

struct BallIds {
  explicit BallIds(NameLookup& names) : balls(names.Numbered(mjOBJ_GEOM, "ball", kRowOfFour)) {}
  std::vector<int> balls;  // geoms
};

}  // namespace

OddOneOut::OddOneOut(const std::filesystem::path& asset_root, const TaskOptions& options)
    : PressTask(asset_root, options, Info(), kLayout, {BindIds<BallIds>}) {}

void OddOneOut::DrawEpisode(Rng& rng, Scenario* scenario) const {
  Scenario& s = *scenario;
  const int cue = StepOf(rng.Uniform(4.0, 8.0));
  const double delay = DrawSeconds(rng, s.delay, {6.0, 9.0}, {14.0, 18.0}, {33.0, 37.0});
  s.cues = {{cue * kControlPeriod, (cue + kCueSteps) * kControlPeriod}};
  s.target = rng.UniformInt(kRowOfFour);
  const int common = rng.UniformInt(kNumColors);
  s.params[kCommonColor] = common;
  s.params[kOddColor] = (common + 1 + rng.UniformInt(kNumColors - 1)) % kNumColors;
  SetGo(rng, cue + kCueSteps + StepOf(delay), kSecondsToPress, scenario);
  for (int slot = 0; slot < kRowOfFour; ++slot) s.target_places.push_back(RowOfFour(slot));
}

void OddOneOut::Show(World& world, const Scenario& scenario, bool) const {
  const bool shown = CueShown(scenario, world.control_steps());
  for (int slot = 0; slot < kRowOfFour; ++slot) {
    const Param color = slot == scenario.target ? kOddColor : kCommonColor;
    const int ball = world.Ids<BallIds>().balls[static_cast<size_t>(slot)];
    SetColor(world, ball, shown ? Lamp::kColor : Lamp::kHidden,
             static_cast<int>(scenario.params[color]));
  }
}

}  // namespace kvla
