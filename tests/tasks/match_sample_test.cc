// SPDX-License-Identifier: Apache-2.0
#include "tasks/match_sample/match_sample.h"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <vector>

#include "tests/tasks/play.h"

namespace kvla {
namespace {

constexpr double kStep = kControlPeriod + 1e-9;

bool Orange(int r, int g, int b) { return r > 110 && g > 40 && g < r * 3 / 4 && b < g / 2; }

Vec3 ShapeAt(const Play& play, int shape) {
  const int body = *play.world->BodyId("shape" + std::to_string(shape));
  const mjtNum* p = play.world->data()->xpos + 3 * body;
  return {p[0], p[1], p[2]};
}

TEST(MatchSample, ScheduleKeepsItsPromises) {
  Play play("match_sample");
  const Delays delays = {{"short", {6, 9}}, {"medium", {14, 18}}, {"long", {33, 37}}};
  std::array<int, MatchSample::kShapes> shapes{};
  std::array<int, MatchSample::kShapes> slots{};
  for (const auto& [delay, range] : delays) {
    for (uint64_t e = 0; e < 200; ++e) {
      auto s = play.task->Draw(play.Key(delay, e));
      ASSERT_TRUE(s.ok());
      ASSERT_EQ(s->cues.size(), 1u);
      EXPECT_GE(s->cues[0].begin_s, 4.0);
      EXPECT_LE(s->cues[0].begin_s, 8.0 + kStep);
      const double wait = s->decision_s - s->cues[0].end_s;
      EXPECT_GE(wait, range.first - kStep);
      EXPECT_LE(wait, range.second + kStep);
      // Only when the sample has gone does anything tell the slots.
      const double line_up = s->params[MatchSample::kLineUp] * kControlPeriod;
      EXPECT_GE(line_up, s->cues[0].end_s + 1.5 - kStep);
      EXPECT_LE(line_up, s->decision_s - 2);
      const std::set<double> used(&s->params[MatchSample::kSlotOf],
                                  &s->params[MatchSample::kSlotOf] + MatchSample::kShapes);
      EXPECT_EQ(used.size(), 4u);
      const size_t shown = static_cast<size_t>(s->params[MatchSample::kShown]);
      EXPECT_EQ(s->target, static_cast<int>(s->params[MatchSample::kSlotOf + shown]));
      ++shapes[shown];
      ++slots[static_cast<size_t>(s->target)];
    }
  }
  for (const int n : shapes) EXPECT_NEAR(n, 150, 45);
  for (const int n : slots) EXPECT_NEAR(n, 150, 45);
}

TEST(MatchSample, ShapesComeAndGo) {
  Play play("match_sample");
  play.Place("short", 3);
  const Scenario& s = play.scenario;
  auto hidden = [&] {
    int n = 0;
    for (int i = 0; i < MatchSample::kShapes; ++i) n += ShapeAt(play, i)[2] < -0.3;
    return n;
  };
  play.Idle(StepOf(s.cues[0].begin_s) - 1);
  EXPECT_EQ(hidden(), 4);
  EXPECT_EQ(CountPixels(play.Look(), Orange), 0);
  play.Idle(StepOf(s.cues[0].begin_s));
  EXPECT_EQ(hidden(), 3);
  const int shown = static_cast<int>(s.params[MatchSample::kShown]);
  EXPECT_NEAR(ShapeAt(play, shown)[0], 0.735, 1e-9);
  EXPECT_GE(CountPixels(play.Look(), Orange), 10);  // seen in the very step in which it appears
  play.Idle(StepOf(s.cues[0].end_s));
  EXPECT_EQ(hidden(), 4);
  EXPECT_EQ(CountPixels(play.Look(), Orange), 0);
  play.Idle(static_cast<int>(s.params[MatchSample::kLineUp]));
  EXPECT_EQ(hidden(), 0);
  for (int i = 0; i < MatchSample::kShapes; ++i) {
    const size_t slot = MatchSample::kSlotOf + static_cast<size_t>(i);
    EXPECT_NEAR(ShapeAt(play, i)[1], MatchSample::SlotY(static_cast<int>(s.params[slot])), 1e-9);
  }
}

// At 64x64 any two samples differ by a third of their pixels.
TEST(MatchSample, SamplesLookDifferent) {
  Play play("match_sample");
  play.Place("short", 0);
  play.Idle(static_cast<int>(play.scenario.params[MatchSample::kCueBegin]));
  std::vector<std::vector<bool>> seen;
  for (int shape = 0; shape < MatchSample::kShapes; ++shape) {
    play.scenario.params[MatchSample::kShown] = shape;
    play.task->Update(*play.world, play.scenario);
    const Image image = play.Look();
    std::vector<bool> mask;
    for (size_t i = 0; i < image.rgb.size(); i += 3) {
      mask.push_back(Orange(image.rgb[i], image.rgb[i + 1], image.rgb[i + 2]));
    }
    for (const auto& other : seen) {
      int differ = 0;
      for (size_t i = 0; i < mask.size(); ++i) differ += mask[i] != other[i];
      EXPECT_GE(differ, 18) << shape;
    }
    seen.push_back(std::move(mask));
  }
}

TEST(MatchSample, OutcomesOfThePress) {
  Play play("match_sample");
  for (int offset = 0; offset < MatchSample::kShapes; ++offset) {
    play.Place("short", 7);
    Scenario told = play.scenario;
    told.target = (told.target + offset) % MatchSample::kShapes;
    const Progress p = play.Finish(told);
    EXPECT_TRUE(p.done && p.decisive_reached);
    EXPECT_EQ(p.success, offset == 0);
    EXPECT_EQ(p.Fraction(), offset == 0 ? 1 : 0.75);
  }
}

TEST(MatchSample, LabelsFollowTheSample) {
  Play play("match_sample");
  play.Place("short", 1);
  const Scenario s = play.scenario;
  const Progress p = play.Finish(s, [&](int step, const ExpertLabel& label) {
    const bool cue =
        step >= s.params[MatchSample::kCueBegin] && step < s.params[MatchSample::kCueEnd];
    const bool go = step >= s.params[MatchSample::kGo];
    const int shape = static_cast<int>(s.params[MatchSample::kShown]);
    EXPECT_EQ(label.target, go ? s.target : cue ? MatchSample::ShapeClass(shape) : -1);
    EXPECT_EQ(label.decision, go);
  });
  EXPECT_TRUE(p.success);
}

}  // namespace
}  // namespace kvla
