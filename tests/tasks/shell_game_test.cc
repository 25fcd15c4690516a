// SPDX-License-Identifier: Apache-2.0
#include "tasks/shell_game/shell_game.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "tests/tasks/editions.h"
#include "tests/tasks/play.h"

namespace kvla {
namespace {

constexpr double kStep = kControlPeriod + 1e-9;

int At(const Scenario& s, size_t first, int i = 0) {
  return static_cast<int>(s.params[first + static_cast<size_t>(i)]);
}

bool Red(int r, int g, int b) { return r > 200 && g < 90 && b < 90; }

Vec3 BodyAt(const Play& play, const std::string& name) {
  const mjtNum* p = play.world->data()->xpos + 3 * *play.world->BodyId(name);
  return {p[0], p[1], p[2]};
}

TEST(ShellGame, ScheduleKeepsItsPromises) {
  Play play("shell_game");
  const Delays delays = {{"short", {5, 8}}, {"medium", {12, 16}}, {"long", {30, 34}}};
  std::array<int, ShellGame::kCups> starts{}, targets{};
  int moved = 0;
  for (const auto& [delay, range] : delays) {
    for (uint64_t e = 0; e < 200; ++e) {
      auto s = play.task->Draw(play.Key(delay, e));
      ASSERT_TRUE(s.ok());
      const size_t swaps = delay == "short" ? 1 : delay == "medium" ? 2 : 3;
      ASSERT_EQ(s->cues.size(), 1 + swaps);
      EXPECT_GE(s->cues[0].begin_s, 4.0);
      EXPECT_LE(s->cues[0].begin_s, 8.0 + kStep);
      for (size_t i = 1; i < s->cues.size(); ++i) {
        EXPECT_GE(s->cues[i].begin_s, s->cues[i - 1].end_s + 1.5 - kStep);
      }
      const double wait = s->decision_s - s->cues.back().end_s;
      EXPECT_GE(wait, range.first - kStep);
      EXPECT_LE(wait, range.second + kStep);
      EXPECT_LE(s->horizon_steps, 2000);
      const int ball = static_cast<int>(s->params[ShellGame::kBall]);
      EXPECT_EQ(s->target, ShellGame::SlotAt(*s, ball, s->horizon_steps));
      EXPECT_EQ(ShellGame::CupAt(*s, s->target, s->horizon_steps), ball);
      EXPECT_EQ(ShellGame::SlotAt(*s, ball, 0), ball);
      ++starts[static_cast<size_t>(ball)];
      ++targets[static_cast<size_t>(s->target)];
      moved += ball != s->target;
    }
  }
  for (const int n : starts) EXPECT_NEAR(n, 200, 45);
  for (const int n : targets) EXPECT_NEAR(n, 200, 45);
  EXPECT_GT(moved, 300);  // where it started says little of where it is
}

// The script's servos bring every cup to its slot, the ball stays under its cup, and the cup that
// was shown comes down again.
TEST(ShellGame, CupsAndBallFollowTheScript) {
  Play play("shell_game");
  for (uint64_t e = 0; e < 3; ++e) {
    play.Place("long", e);
    const Scenario& s = play.scenario;
    const int ball = static_cast<int>(s.params[ShellGame::kBall]);
    const std::string shown = "cup" + std::to_string(ball);
    play.Idle(StepOf(s.cues[0].begin_s) - 1);
    EXPECT_LT(BodyAt(play, shown)[2], 0.002);
    play.Idle(StepOf(s.cues[0].end_s) - 1);
    EXPECT_GT(BodyAt(play, shown)[2], 0.09);
    play.Idle(StepOf(s.cues[0].end_s) + 25);
    EXPECT_LT(BodyAt(play, shown)[2], 0.002);
    double apart = 1;
    while (play.world->control_steps() < s.params[ShellGame::kGo]) {
      play.Idle(play.world->control_steps() + 1);
      EXPECT_LT(HorizontalDistance(BodyAt(play, "ball"), BodyAt(play, shown)), 0.004);
      for (int i = 0; i < ShellGame::kCups; ++i) {
        for (int j = 0; j < i; ++j) {
          apart = std::min(apart, HorizontalDistance(BodyAt(play, "cup" + std::to_string(i)),
                                                     BodyAt(play, "cup" + std::to_string(j))));
        }
      }
    }
    EXPECT_GT(apart, 0.076);  // twice a cup's radius: they pass each other
    for (int cup = 0; cup < ShellGame::kCups; ++cup) {
      const Vec3 at = BodyAt(play, "cup" + std::to_string(cup));
      const int slot = ShellGame::SlotAt(s, cup, play.world->control_steps());
      EXPECT_NEAR(at[0], ShellGame::kSlotX, 0.002);
      EXPECT_NEAR(at[1], ShellGame::SlotY(slot), 0.002);
    }
    EXPECT_EQ(play.Memory(ShellGame::kLifted), 0);  // what the script lifts is not the arm's doing
  }
}

TEST(ShellGame, TheBallIsSeenOnlyWhileItIsShown) {
  Play play("shell_game");
  play.Place("short", 1);
  const Scenario& s = play.scenario;
  play.Idle(StepOf(s.cues[0].begin_s) - 1);
  EXPECT_EQ(CountPixels(play.Look(), Red), 0);
  play.Idle(StepOf(s.cues[0].begin_s) + 20);
  EXPECT_GE(CountPixels(play.Look(), Red), 6);
  play.Idle(StepOf(s.cues[0].end_s) + 25);
  EXPECT_EQ(CountPixels(play.Look(), Red), 0);
  play.Idle(StepOf(s.cues[1].begin_s) + ShellGame::kSwapSteps / 2);
  EXPECT_EQ(CountPixels(play.Look(), Red), 0);
  play.Idle(static_cast<int>(s.params[ShellGame::kGo]));
  EXPECT_EQ(CountPixels(play.Look(), Red), 0);
}

TEST(ShellGame, OutcomesOfTheLift) {
  Play play("shell_game");
  for (int offset = 0; offset < ShellGame::kCups; ++offset) {
    play.Place("short", 4);
    Scenario told = play.scenario;
    told.target = (told.target + offset) % ShellGame::kCups;
    const Progress p = play.Finish(told);
    EXPECT_TRUE(p.done && p.decisive_reached);
    EXPECT_EQ(p.success, offset == 0);
    EXPECT_EQ(p.decisive_right, offset == 0);
  }
  play.Place("short", 4);
  Scenario early = play.scenario;
  early.params[ShellGame::kGo] = 240;
  const Progress p = play.Finish(early);
  EXPECT_LT(play.world->control_steps(), play.scenario.params[ShellGame::kGo]);
  EXPECT_TRUE(p.done);
  EXPECT_FALSE(p.success || p.decisive_reached);
}

// Shown, carried along by the swaps, used: the label says where the ball is.
TEST(ShellGame, LabelsFollowTheBall) {
  Play play("shell_game");
  play.Place("medium", 2);
  const Scenario s = play.scenario;
  const int ball = static_cast<int>(s.params[ShellGame::kBall]);
  int told = 0;
  play.Finish(s, [&](int step, const ExpertLabel& label) {
    const bool go = step >= s.params[ShellGame::kGo];
    EXPECT_EQ(label.decision, go);
    if (go) {
      EXPECT_EQ(label.target, s.target);
    }
    if (step >= StepOf(s.cues[0].begin_s) && step < StepOf(s.cues[0].end_s)) {
      EXPECT_EQ(label.target, ball);
    }
    for (size_t i = 1; i < s.cues.size(); ++i) {
      if (step == StepOf(s.cues[i].end_s) - 1) {
        EXPECT_EQ(label.target, ShellGame::SlotAt(s, ball, step + 1));
        ++told;
      }
      if (step == StepOf(s.cues[i].end_s) + 1 && !go) {
        EXPECT_EQ(label.target, -1);
      }
    }
  });
  EXPECT_EQ(told, 2);
}

// A cup rises as high as at the reveal, and no ball is under it, be it the one that hides the ball.
TEST(ShellGameDecoys, ACupRisesEmpty) {
  Play play("shell_game", kDecoys);
  for (const bool hides : {true, false}) {
    const Decoy decoy = FindDecoy(&play, [&](const Decoy& d) {
      return (d.what == At(play.scenario, ShellGame::kBall)) == hides;
    });
    double& height = play.Joint("cup" + std::to_string(decoy.what) + "_z");
    play.Idle(decoy.begin - 1);
    EXPECT_LT(height, 0.002);
    play.Idle(decoy.end - 1);
    EXPECT_GT(height, 0.09);
    EXPECT_EQ(CountPixels(play.Look(), Red), 0);
    const int reveal = At(play.scenario, ShellGame::kReveal);
    const int down = decoy.end + (decoy.end < reveal ? 19 : 25);  // before the reveal may begin
    while (play.world->control_steps() < down) {
      play.Idle(play.world->control_steps() + 1);
      EXPECT_EQ(CountPixels(play.Look(), Red), 0);
    }
    EXPECT_LT(height, 0.002);
    if (decoy.end < reveal) {
      play.Idle(reveal + 20);
      EXPECT_GE(CountPixels(play.Look(), Red), 6);
    }
    EXPECT_EQ(play.Memory(ShellGame::kLifted), 0);
  }
}

// Lifted by the arm while another cup is up as a decoy: that counts.
TEST(ShellGameDecoys, TheArmsOwnLiftStillCounts) {
  Play play("shell_game", kDecoys);
  const Decoy decoy = FindDecoy(&play, [](const Decoy&) { return true; });
  play.Idle(decoy.begin + 5);
  const int other = (decoy.what + 1) % ShellGame::kCups;
  play.Joint("cup" + std::to_string(other) + "_z") = 0.08;
  play.task->Update(*play.world, play.scenario);
  EXPECT_EQ(play.Memory(ShellGame::kLifted), 1 + other);
}

TEST(ShellGameLayout, OneWayToSwapIsHeldOut) {
  const auto seen = MakeForTest("shell_game", kAnywhere);
  const auto held_out = MakeForTest("shell_game", kHeldOut);
  const auto kind = [](const Scenario& s, int swap) {
    return std::pair(At(s, ShellGame::kSwaps, 3 * swap + 1),
                     At(s, ShellGame::kSwaps, 3 * swap + 2));
  };
  std::set<std::pair<int, int>> kinds, first;
  std::map<int, int> targets;
  for (uint64_t e = 0; e < 300; ++e) {
    const Scenario s = *seen->Draw(TestKey(*seen, "long", e));
    for (int swap = 0; swap < At(s, ShellGame::kNumSwaps); ++swap) kinds.insert(kind(s, swap));
    const Scenario h = *held_out->Draw(TestKey(*held_out, "long", e));
    first.insert(kind(h, 0));
    ++targets[h.target];
  }
  EXPECT_EQ(kinds.size(), 3u);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_FALSE(kinds.contains(*first.begin()));
  for (const auto& [target, n] : targets) EXPECT_NEAR(n, 100, 35) << target;
}

}  // namespace
}  // namespace kvla
