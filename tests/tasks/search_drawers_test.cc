// SPDX-License-Identifier: Apache-2.0
#include "tasks/search_drawers/search_drawers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

#include "tests/tasks/editions.h"
#include "tests/tasks/play.h"

namespace kvla {
namespace {

int At(const Scenario& s, size_t first, int i = 0) {
  return static_cast<int>(s.params[first + static_cast<size_t>(i)]);
}

// Pulls a drawer out by hand and lets the spring close it.
Progress Pull(Play* play, int drawer) {
  play->Joint("drawer" + std::to_string(drawer)) = 0.07;
  play->task->Update(*play->world, play->scenario);
  play->Idle(play->world->control_steps() + 40);
  return play->task->Evaluate(*play->world, play->scenario);
}

// To the moment at which the lamp turns white for a round.
void WaitFor(Play* play, int round) {
  play->Idle(At(play->scenario, SearchDrawers::kRound, round));
}

TEST(SearchDrawers, ScheduleKeepsItsPromises) {
  Play play("search_drawers");
  std::array<int, SearchDrawers::kDrawers> balls{};
  int twice = 0;
  for (const std::string delay : {"short", "medium", "long"}) {
    for (uint64_t e = 0; e < 200; ++e) {
      auto s = play.task->Draw(play.Key(delay, e));
      ASSERT_TRUE(s.ok());
      EXPECT_GE(s->cues[0].begin_s, 4.0);
      for (int i = 1; i < SearchDrawers::kRounds; ++i) {
        const int gap = At(*s, SearchDrawers::kRound, i) - At(*s, SearchDrawers::kRound, i - 1);
        EXPECT_GE(gap, StepOf(11));
      }
      EXPECT_LE(s->horizon_steps, 2000);
      if (delay == "long") {
        EXPECT_GE(s->horizon_steps, 1800);
      }
      const int ball = At(*s, SearchDrawers::kBall, 0);
      const int a = At(*s, SearchDrawers::kNames, 0), b = At(*s, SearchDrawers::kNames, 1);
      EXPECT_EQ((std::set<int>{a, b, ball}.size()), 3u);
      int leftmost = 0;
      while (leftmost == a || leftmost == b) ++leftmost;
      EXPECT_EQ(s->target, leftmost);
      // A search that begins at an empty drawer leaves one more thing to remember.
      EXPECT_EQ(s->cues.size(), leftmost == ball ? 2u : 3u);
      twice += leftmost != ball;
      ++balls[static_cast<size_t>(ball)];
    }
  }
  for (const int n : balls) EXPECT_NEAR(n, 150, 45);
  EXPECT_NEAR(twice, 300, 50);
}

// The derivation in the source: 5/16 for a search that remembers nothing.
TEST(SearchDrawers, ChanceIsWhatTheSourceDerives) {
  Play play("search_drawers");
  const int n = 20000;
  int found = 0, fixed = 0;
  for (uint64_t e = 0; e < n; ++e) {
    auto s = play.task->Draw(play.Key("short", e));
    Rng rng(s->Key(), "guess");
    auto search = [&](int first, int second) {
      const int ball = At(*s, SearchDrawers::kBall, 0);
      if (first == ball) return 1;
      for (int i = 0; i < SearchDrawers::kNamed; ++i) {
        if (first == At(*s, SearchDrawers::kNames, i)) return 0;
      }
      return second == ball ? 1 : 0;
    };
    const int first = rng.UniformInt(SearchDrawers::kDrawers);
    found += search(first, rng.UniformInt(SearchDrawers::kDrawers));
    fixed += search(0, 0);
  }
  EXPECT_NEAR(found / static_cast<double>(n), play.task->info().chance, 0.01);
  EXPECT_NEAR(fixed / static_cast<double>(n), 0.25, 0.01);
}

TEST(SearchDrawers, DrawersCloseAndShowTheBall) {
  Play play("search_drawers");
  auto red = [](int r, int g, int b) { return r > 170 && g < 80 && b < 80; };
  play.Place("short", 0);
  play.Idle(10);
  EXPECT_EQ(CountPixels(play.Look(256), red), 0);
  for (int i = 0; i < SearchDrawers::kDrawers; ++i) {
    play.Place("short", 0);
    play.Joint("drawer" + std::to_string(i)) = 0.08;
    play.world->Forward();
    const int seen = CountPixels(play.Look(256), red);
    if (i == At(play.scenario, SearchDrawers::kBall, 0)) {
      EXPECT_GE(seen, 40);
    } else {
      EXPECT_EQ(seen, 0);
    }
    play.Idle(40);
    EXPECT_LT(play.Joint("drawer" + std::to_string(i)), 0.001);
  }
}

TEST(SearchDrawers, ARoundIsOneDrawer) {
  Play play("search_drawers");
  uint64_t e = 0;
  do {
    play.Place("short", e++);  // one in which the leftmost drawer that is left is empty
  } while (play.scenario.cues.size() != 3);
  const Scenario& s = play.scenario;
  for (int round = 0; round < SearchDrawers::kRounds; ++round) {
    EXPECT_EQ(SearchDrawers::OpenRound(*play.world, s), -1);
    WaitFor(&play, round);
    EXPECT_EQ(SearchDrawers::OpenRound(*play.world, s), round);
    const int drawer = round < SearchDrawers::kNamed ? At(s, SearchDrawers::kNames, round)
                       : round == 2                  ? s.target
                                                     : At(s, SearchDrawers::kBall, 0);
    const Progress p = Pull(&play, drawer);
    EXPECT_EQ(play.Memory(SearchDrawers::kLooks), round + 1);
    EXPECT_EQ(p.done, round == 3);
    EXPECT_EQ(p.decisive_reached, round >= 2);
    EXPECT_EQ(p.decisive_right, round == 3);
    EXPECT_FALSE(p.success);  // no chores were done
  }
}

TEST(SearchDrawers, FaultsEndTheEpisode) {
  Play play("search_drawers");
  play.Place("short", 1);
  Progress p = Pull(&play, At(play.scenario, SearchDrawers::kNames, 0));
  EXPECT_EQ(play.Memory(SearchDrawers::kFault), 1 + SearchDrawers::kOutOfTurn);
  EXPECT_TRUE(p.done);
  EXPECT_FALSE(p.decisive_reached);

  play.Place("short", 1);
  WaitFor(&play, 0);
  p = Pull(&play, At(play.scenario, SearchDrawers::kNames, 1));
  EXPECT_EQ(play.Memory(SearchDrawers::kFault), 1 + SearchDrawers::kNotNamed);
  EXPECT_TRUE(p.done);
  EXPECT_FALSE(p.decisive_reached);

  play.Place("short", 1);
  for (int round = 0; round < SearchDrawers::kNamed; ++round) {
    WaitFor(&play, round);
    EXPECT_FALSE(Pull(&play, At(play.scenario, SearchDrawers::kNames, round)).done);
  }
  WaitFor(&play, 2);
  p = Pull(&play, At(play.scenario, SearchDrawers::kNames, 0));
  EXPECT_EQ(play.Memory(SearchDrawers::kFault), 1 + SearchDrawers::kTwice);
  EXPECT_TRUE(p.done && p.decisive_reached);
  EXPECT_FALSE(p.decisive_right || p.success);
}

TEST(SearchDrawers, LabelsFollowTheRounds) {
  Play play("search_drawers");
  uint64_t e = 0;
  do {
    play.Place("short", e++);
  } while (play.scenario.cues.size() != 3);
  const Scenario s = play.scenario;
  std::array<int, SearchDrawers::kRounds> told = {-1, -1, -1, -1};
  const Progress p = play.Finish(s, [&](int, const ExpertLabel& label) {
    const int round = SearchDrawers::OpenRound(*play.world, s);
    EXPECT_EQ(label.decision, round >= SearchDrawers::kNamed);
    if (round < 0) {
      EXPECT_EQ(label.target, -1);
    } else {
      told[static_cast<size_t>(round)] = label.target;
    }
  });
  EXPECT_TRUE(p.success);
  EXPECT_EQ(told[0], At(s, SearchDrawers::kNames, 0));
  EXPECT_EQ(told[1], At(s, SearchDrawers::kNames, 1));
  EXPECT_EQ(told[2], s.target);
  EXPECT_EQ(told[3], At(s, SearchDrawers::kBall, 0));
}

// A drawer's lamp is lit as in a round, but the big lamp is dark.
TEST(SearchDrawersDecoys, ADrawersLampLightsWithoutTheWhiteLight) {
  Play play("search_drawers", kDecoys);
  const Decoy decoy = FindDecoy(
      &play, [&](const Decoy& d) { return d.end < At(play.scenario, SearchDrawers::kRound); });
  const auto white = [&](int geom) { return ColorOf(*play.world, geom)[0] > 0.9; };
  const auto lamps = play.world->Ids<DrawerIds>().lamps;
  const int big = play.world->Ids<TabletopIds>().cue_lamp;
  play.Idle(decoy.begin + 5);
  for (int i = 0; i < SearchDrawers::kDrawers; ++i) {
    EXPECT_EQ(white(lamps[static_cast<size_t>(i)]), i == decoy.what);
  }
  EXPECT_FALSE(white(big));
  EXPECT_EQ(SearchDrawers::OpenRound(*play.world, play.scenario), -1);
  play.Idle(decoy.end);
  EXPECT_FALSE(white(lamps[static_cast<size_t>(decoy.what)]));
  play.Idle(At(play.scenario, SearchDrawers::kRound));
  EXPECT_TRUE(white(big));
  EXPECT_TRUE(white(lamps[static_cast<size_t>(At(play.scenario, SearchDrawers::kNames))]));
  // A round that waits for a slow arm: no decoy names another drawer.
  const Decoy late = FindDecoy(
      &play, [&](const Decoy& d) { return d.begin > At(play.scenario, SearchDrawers::kRound); });
  play.Idle(late.begin + 5);
  for (int i = 0; i < SearchDrawers::kDrawers; ++i) {
    EXPECT_EQ(white(lamps[static_cast<size_t>(i)]), i == At(play.scenario, SearchDrawers::kNames));
  }
}

// Opening a drawer because of a decoy is out of turn.
TEST(SearchDrawersDecoys, WhoFollowsADecoyFails) {
  Play play("search_drawers", kDecoys);
  const Decoy decoy = FindDecoy(
      &play, [&](const Decoy& d) { return d.end < At(play.scenario, SearchDrawers::kRound); });
  play.Idle(decoy.begin + 5);
  play.Joint("drawer" + std::to_string(decoy.what)) = 0.07;
  play.task->Update(*play.world, play.scenario);
  EXPECT_EQ(play.Memory(SearchDrawers::kFault), 1 + SearchDrawers::kOutOfTurn);
}

TEST(SearchDrawersLayout, TheBallHasAnotherColor) {
  const auto pixels = [](const TaskOptions& options, const auto& is) {
    Play play("search_drawers", options);
    play.Place("short", 0);
    play.Joint("drawer" + std::to_string(At(play.scenario, SearchDrawers::kBall))) = 0.08;
    play.world->Forward();
    return CountPixels(play.Look(256), is);
  };
  const auto red = [](int r, int g, int b) { return r > 170 && g < 80 && b < 80; };
  const auto blue = [](int r, int, int b) { return r < 90 && b > 170; };
  EXPECT_GE(pixels(kAnywhere, red), 40);
  EXPECT_EQ(pixels(kAnywhere, blue), 0);
  EXPECT_EQ(pixels(kHeldOut, red), 0);
  EXPECT_GE(pixels(kHeldOut, blue), 40);
}

}  // namespace
}  // namespace kvla
