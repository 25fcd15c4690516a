// SPDX-License-Identifier: Apache-2.0
#include "tasks/odd_one_out/odd_one_out.h"

#include <cmath>
#include <utility>

namespace kvla {
namespace {

constexpr int kCueSteps = 20;
constexpr PressLayout kLayout = {
    .chore = {.flashes = OddOneOut::kFlashes, .go_seconds = kPressGoSeconds, .memory = 5}};

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
  info.bits.assign(info.delays.size(), std::log2(kRowOfFour));
  info.has_twin = true;
  return info;
}

// The color of three balls and that of the odd one. Held out: a third of the pairs, in which each
// color is once the common one and once the odd one.
std::pair<int, int> DrawColors(Rng& rng, const TaskOptions& options) {
  for (;;) {
    const int common = rng.UniformInt(kNumColors);
    const int odd = (common + 1 + rng.UniformInt(kNumColors - 1)) % kNumColors;
    const bool held_out = odd == (common + 1) % kNumColors;
    if (!options.LayoutsApart() || held_out == options.HeldOut()) return {common, odd};
  }
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
  const int cue = DrawCue(rng, s, kCueSteps);
  const int go = DrawGo(rng, s, cue + kCueSteps, {6.0, 9.0}, {14.0, 18.0}, {33.0, 37.0});
  s.cues = {{cue * kControlPeriod, (cue + kCueSteps) * kControlPeriod}};
  s.target = DrawClass(rng, kRowOfFour, s);
  const auto [common, odd] = DrawColors(rng, options());
  s.params[kCommonColor] = common;
  s.params[kOddColor] = odd;
  SetGo(rng, go, kSecondsToPress, scenario);
  for (int slot = 0; slot < kRowOfFour; ++slot) s.target_places.push_back(RowOfFour(slot));
  // Decoys have the cue's colors: nothing but the sign tells them from it.
  DrawDecoys(rng, kCueSteps, kRowOfFour, s.cues, scenario);
}

void OddOneOut::Show(World& world, const Scenario& scenario, bool) const {
  const int step = world.control_steps();
  const bool cue = CueShown(scenario, step);
  const int odd = cue ? scenario.target : DecoyShown(scenario, step);
  ShowSign(world, scenario, cue);
  for (int slot = 0; slot < kRowOfFour; ++slot) {
    const Param color = slot == odd ? kOddColor : kCommonColor;
    const int ball = world.Ids<BallIds>().balls[static_cast<size_t>(slot)];
    SetColor(world, ball, odd >= 0 ? Lamp::kColor : Lamp::kHidden,
             static_cast<int>(scenario.params[color]));
  }
}

}  // namespace kvla
