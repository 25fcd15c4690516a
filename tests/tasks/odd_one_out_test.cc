// SPDX-License-Identifier: Apache-2.0
#include "tasks/odd_one_out/odd_one_out.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "tasks/buttons.h"
#include "tests/tasks/play.h"

namespace kvla {
namespace {

constexpr double kStep = kControlPeriod + 1e-9;

// Pixels of the image at which the ball of a slot shows its colour.
bool IsColor(int color, int r, int g, int b) {
  switch (color) {
    case 0:
      return r > 90 && g < r / 2 && b < r / 2;
    case 1:
      return g > 70 && r < g / 2 && b < g * 2 / 3;
    case 2:
      return b > 90 && r < b / 2 && g < b * 2 / 3;
    default:
      return r > 100 && g > r * 3 / 4 && b < r / 2;
  }
}

TEST(OddOneOut, ScheduleKeepsItsPromises) {
  const auto task = MakeForTest("odd_one_out");
  const Delays delays = {{"short", {6, 9}}, {"medium", {14, 18}}, {"long", {33, 37}}};
  std::array<int, kRowOfFour> slots{};
  for (const auto& [delay, range] : delays) {
    for (uint64_t e = 0; e < 200; ++e) {
      const Scenario s = *task->Draw(TestKey(*task, delay, e));
      ASSERT_EQ(s.cues.size(), 1u);
      EXPECT_GE(s.cues[0].begin_s, 4.0);
      EXPECT_LE(s.cues[0].begin_s, 8.0 + kStep);
      EXPECT_NEAR(s.cues[0].end_s - s.cues[0].begin_s, 1, 1e-9);
      const double wait = s.decision_s - s.cues[0].end_s;
      EXPECT_GE(wait, range.first - kStep);
      EXPECT_LE(wait, range.second + kStep);
      ++slots[static_cast<size_t>(s.target)];
    }
  }
  for (const int n : slots) EXPECT_NEAR(n, 150, 45);
}

// Neither a colour nor a pair of colours tells the slot.
TEST(OddOneOut, ColorsAreIndependentOfTheSlot) {
  const auto task = MakeForTest("odd_one_out");
  const int n = 4800;
  std::map<std::pair<int, int>, std::array<int, kRowOfFour>> counts;
  for (uint64_t e = 0; e < n; ++e) {
    const Scenario s = *task->Draw(TestKey(*task, "short", e));
    const int common = static_cast<int>(s.params[OddOneOut::kCommonColor]);
    const int odd = static_cast<int>(s.params[OddOneOut::kOddColor]);
    ASSERT_NE(common, odd);
    ++counts[{common, odd}][static_cast<size_t>(s.target)];
  }
  EXPECT_EQ(counts.size(), 12u);
  const int even = n / 48;
  for (const auto& [pair, slots] : counts) {
    for (const int count : slots) EXPECT_NEAR(count, even, 40) << pair.first << pair.second;
  }
}

// At 64x64, whatever the pair: three balls are of the common colour, the odd one is where the
// target says, and but for the cue nothing is to be seen of them.
TEST(OddOneOut, BallsAreSeenWhileTheyAreShownAndAtNoOtherTime) {
  Play play("odd_one_out");
  play.Place("short", 3);
  const int cue = StepOf(play.scenario.cues[0].begin_s);
  const auto pixels = [&](int color) {
    return CountPixels(play.Look(),
                       [color](int r, int g, int b) { return IsColor(color, r, g, b); });
  };
  const auto none = [&](const char* when) {
    for (int c = 0; c < kNumColors; ++c) EXPECT_EQ(pixels(c), 0) << when << " " << c;
  };
  play.Idle(cue - 1);
  none("before");
  play.Idle(cue);
  for (int common = 0; common < kNumColors; ++common) {
    for (int odd = 0; odd < kNumColors; ++odd) {
      if (odd == common) continue;
      play.scenario.params[OddOneOut::kCommonColor] = common;
      play.scenario.params[OddOneOut::kOddColor] = odd;
      std::set<std::vector<uint8_t>> views;
      for (int slot = 0; slot < kRowOfFour; ++slot) {
        play.scenario.target = slot;
        play.task->Update(*play.world, play.scenario);
        EXPECT_GE(pixels(odd), 10) << common << odd << slot;
        EXPECT_GE(pixels(common), 30) << common << odd << slot;
        const Image image = play.Look();
        views.insert(image.rgb);
      }
      EXPECT_EQ(views.size(), 4u);
    }
  }
  play.Idle(StepOf(play.scenario.cues[0].end_s));
  none("after");
}

TEST(OddOneOut, OutcomesOfThePress) {
  Play play("odd_one_out");
  for (int offset = 0; offset < kRowOfFour; ++offset) {
    play.Place("short", 7);
    Scenario told = play.scenario;
    told.target = (told.target + offset) % kRowOfFour;
    const Progress p = play.Finish(told);
    EXPECT_TRUE(p.done && p.decisive_reached);
    EXPECT_EQ(p.success, offset == 0);
    EXPECT_EQ(p.Fraction(), offset == 0 ? 1 : 0.75);
  }
}

TEST(OddOneOut, APressBeforeGoEndsItUndecided) {
  Play play("odd_one_out");
  play.Place("short", 2);
  Scenario told = play.scenario;
  told.params[ChoreLayout{}.go] = 60;
  const Progress p = play.Finish(told);
  EXPECT_TRUE(p.done);
  EXPECT_LT(play.world->control_steps(), play.scenario.params[ChoreLayout{}.go]);
  EXPECT_FALSE(p.success || p.decisive_reached);
}

TEST(OddOneOut, LabelsNameTheSlotWhileItIsSeenAndFromGoOn) {
  Play play("odd_one_out");
  play.Place("short", 1);
  const Scenario s = play.scenario;
  const Progress p = play.Finish(s, [&](int step, const ExpertLabel& label) {
    const bool cue = step >= StepOf(s.cues[0].begin_s) && step < StepOf(s.cues[0].end_s);
    const bool go = step >= StepOf(s.decision_s);
    EXPECT_EQ(label.target, go || cue ? s.target : -1) << step;
    EXPECT_EQ(label.decision, go);
  });
  EXPECT_TRUE(p.success);
}

}  // namespace
}  // namespace kvla
