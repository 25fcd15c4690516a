// SPDX-License-Identifier: Apache-2.0
// What TaskOptions make of the tasks with cups, blocks, bins and drawers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "tasks/chore.h"
#include "tasks/put_back/put_back.h"
#include "tasks/search_drawers/search_drawers.h"
#include "tasks/shell_game/shell_game.h"
#include "tasks/sort_by_cue/sort_by_cue.h"
#include "tests/tasks/editions.h"
#include "tests/tasks/play.h"

namespace kvla {
namespace {

int At(const Scenario& s, size_t first, int i = 0) {
  return static_cast<int>(s.params[first + static_cast<size_t>(i)]);
}

// What the cues and what belongs to them take at their longest, from the first one's begin on,
// seconds.
double SecondsOfCues(const Scenario& s) {
  if (s.task == "put_back") return 6;         // until the hand has the block
  if (s.task == "search_drawers") return 19;  // one look's begin 11 s after the other's, and a look
  const double gaps = static_cast<double>(s.cues.size() - 1) * 4;
  if (s.task == "sort_by_cue") return 0.6 * static_cast<double>(s.cues.size()) + gaps;
  return 1.6 * static_cast<double>(s.cues.size()) + gaps;  // reveal and swaps
}

class Edition : public testing::TestWithParam<std::string> {
 protected:
  static std::unique_ptr<Task> Make(const TaskOptions& options) {
    return MakeForTest(GetParam(), options);
  }
};

TEST_P(Edition, TheDelayFixesTheLengthAndTheFirstCueIsAnywhere) {
  const auto task = Make(kAnywhere);
  ASSERT_EQ(task->info().delays, (std::vector<std::string>{"short", "medium", "long", "longer"}));
  EXPECT_EQ(task->info().bits.size(), 4u);
  int shorter = 0;
  for (const std::string& delay : task->info().delays) {
    constexpr int kDraws = 600;
    std::array<int, 4> quarters{};
    std::map<int, std::pair<double, int>> by_target;  // sum, number
    const Scenario first = *task->Draw(TestKey(*task, delay, 0));
    EXPECT_LE(first.horizon_steps, delay == "longer" ? 4000 : 2300);
    EXPECT_GT(first.horizon_steps, shorter);
    shorter = first.horizon_steps;
    for (uint64_t e = 0; e < kDraws; ++e) {
      const Scenario s = *task->Draw(TestKey(*task, delay, e));
      EXPECT_EQ(s.decision_s, first.decision_s);
      EXPECT_EQ(s.horizon_steps, first.horizon_steps);
      EXPECT_GE(s.WaitSeconds(), 5 - 1e-9);
      EXPECT_TRUE(s.decoys.empty());
      const double room = s.decision_s - 5 - SecondsOfCues(s) - 4;
      const double share = (s.OnsetSeconds() - 4) / (room + kControlPeriod);
      ASSERT_GE(share, -1e-9);
      ASSERT_LT(share, 1 + 1e-9);
      ++quarters[static_cast<size_t>(std::clamp(4 * share, 0.0, 3.0))];
      by_target[s.target].first += share;
      by_target[s.target].second += 1;
    }
    // Four standard deviations.
    for (const int n : quarters) EXPECT_NEAR(n, kDraws / 4.0, 4 * std::sqrt(kDraws * 3 / 16.0));
    for (const auto& [target, sum] : by_target) {
      EXPECT_NEAR(sum.first / sum.second, 0.5, 4 * std::sqrt(1 / 12.0 / sum.second)) << target;
    }
  }
}

TEST_P(Edition, DecoysKeepClearOfCuesAndSayNothing) {
  const auto task = Make(kDecoys);
  for (const std::string& delay : task->info().delays) {
    constexpr int kDraws = 200;
    int before = 0, after = 0, all = 0, right = 0, classes = 0;
    std::set<int> lengths;
    for (uint64_t e = 0; e < kDraws; ++e) {
      const Scenario s = *task->Draw(TestKey(*task, delay, e));
      bool any_before = false, any_after = false;
      for (size_t i = 0; i < s.decoys.size(); ++i) {
        const Decoy& decoy = s.decoys[i];
        EXPECT_GE(decoy.begin, StepOf(2));
        EXPECT_LE(decoy.end, StepOf(s.decision_s - 1));
        lengths.insert(decoy.end - decoy.begin);
        if (i > 0) {
          EXPECT_GE(decoy.begin, s.decoys[i - 1].end + StepOf(1));
        }
        double last = 0;
        for (const CueInterval& cue : s.cues) {
          if (cue.begin_s >= s.decision_s) continue;
          EXPECT_TRUE(decoy.end <= StepOf(cue.begin_s - 1) || decoy.begin >= StepOf(cue.end_s + 1));
          last = cue.end_s;
        }
        any_before |= decoy.end < StepOf(s.OnsetSeconds());
        any_after |= decoy.begin > StepOf(last);
        // Whether it shows what is to be remembered.
        ++all;
        if (s.task == "sort_by_cue") {
          const int color = At(s, SortByCue::kCueColor, decoy.what / SortByCue::kBins);
          right += At(s, SortByCue::kBinOf, color) == decoy.what % SortByCue::kBins;
        } else if (s.task == "shell_game") {
          right += At(s, ShellGame::kBall) == decoy.what;
        } else {
          right += s.target == decoy.what;
        }
      }
      before += any_before;
      after += any_after;
    }
    classes = task->info().num_choices;
    EXPECT_EQ(lengths.size(), 1u);
    EXPECT_GT(before, kDraws / (delay == "short" ? 4 : 2));
    EXPECT_GT(after, kDraws / (delay == "short" ? 4 : 2));
    const double mean = static_cast<double>(all) / classes;
    EXPECT_NEAR(right, mean, 4 * std::sqrt(mean * (1 - 1.0 / classes))) << "of " << all;
  }
}

TEST_P(Edition, TheTwinDiffersInWhatIsToBeRememberedOnly) {
  const auto task = Make(kDecoys);
  const auto world = *World::Load(task->scene());
  for (uint64_t e = 0; e < 40; ++e) {
    EpisodeKey key = TestKey(*task, "medium", e);
    const Scenario s = *task->Draw(key);
    key.twin = true;
    const Scenario twin = *task->Draw(key);
    EXPECT_EQ(task->info().has_twin, s.target != twin.target);
    EXPECT_EQ(s.horizon_steps, twin.horizon_steps);
    EXPECT_EQ(s.decision_s, twin.decision_s);
    EXPECT_EQ(s.instruction, twin.instruction);
    const auto choices = static_cast<size_t>(task->info().num_choices);
    EXPECT_TRUE(std::equal(s.target_places.begin(), s.target_places.begin() + choices,
                           twin.target_places.begin()));
    ASSERT_EQ(s.cues.size(), twin.cues.size());
    for (size_t i = 0; i < s.cues.size(); ++i) {
      EXPECT_EQ(s.cues[i].begin_s, twin.cues[i].begin_s);
      EXPECT_EQ(s.cues[i].end_s, twin.cues[i].end_s);
    }
    ASSERT_EQ(s.decoys.size(), twin.decoys.size());
    for (size_t i = 0; i < s.decoys.size(); ++i) {
      EXPECT_EQ(s.decoys[i].begin, twin.decoys[i].begin);
      EXPECT_EQ(s.decoys[i].what, twin.decoys[i].what);
    }
    Scenario same = twin;
    if (s.task == "shell_game") same.params[ShellGame::kBall] = s.params[ShellGame::kBall];
    EXPECT_EQ(s.params, same.params);
  }
}

TEST_P(Edition, InstructionsTellOfDecoys) {
  const TaskInfo plain = Make(kAnywhere)->info(), told = Make(kDecoys)->info();
  EXPECT_EQ(plain.instructions, Make({})->info().instructions);
  std::set<std::string> clauses;
  const auto check = [&](const std::vector<std::string>& before,
                         const std::vector<std::string>& after) {
    ASSERT_EQ(before.size(), after.size());
    for (size_t i = 0; i < before.size(); ++i) {
      ASSERT_TRUE(after[i].starts_with(before[i] + "; "));
      clauses.insert(after[i].substr(before[i].size()));
    }
  };
  check(plain.instructions, told.instructions);
  check(plain.held_out_instructions, told.held_out_instructions);
  EXPECT_EQ(clauses.size(), plain.instructions.size() + plain.held_out_instructions.size());
  EXPECT_EQ(told.instruction, told.instructions.front());
}

// Colors, sites: what an episode has left of itself in the model.
std::vector<double> Looks(const World& world) {
  const mjModel* m = world.model();
  std::vector<double> looks(m->geom_rgba, m->geom_rgba + size_t{4} * m->ngeom);
  looks.insert(looks.end(), m->site_rgba, m->site_rgba + size_t{4} * m->nsite);
  looks.insert(looks.end(), m->site_pos, m->site_pos + size_t{3} * m->nsite);
  looks.insert(looks.end(), m->site_quat, m->site_quat + size_t{4} * m->nsite);
  return looks;
}

TEST_P(Edition, AnEpisodeLeavesNothingBehind) {
  Play used(GetParam(), kDecoys), fresh(GetParam(), kDecoys);
  for (uint64_t e = 0; e < 3; ++e) {
    used.Place("medium", e);
    ASSERT_FALSE(used.scenario.decoys.empty());
    used.Idle(used.scenario.decoys[0].begin + 5);
    used.Place("medium", 20 + e);
    fresh.Place("medium", 20 + e);
    EXPECT_EQ(Looks(*used.world), Looks(*fresh.world));
    EXPECT_EQ(used.world->StateHash(), fresh.world->StateHash());
  }
}

// An arm that does nothing: no decoy counts as a choice, and none is a label.
TEST_P(Edition, DecoysDecideNothingAndAreNoLabels) {
  Play play(GetParam(), kDecoys);
  play.Place("medium", 1);
  const Scenario& s = play.scenario;
  const auto expert = play.task->MakeExpert(s, false, Rng(s.Key(), "expert"));
  Action stay;
  stay.value[6] = -1;
  int during = 0;
  while (play.world->control_steps() < StepOf(s.decision_s)) {
    const int step = play.world->control_steps();
    expert->Act(*play.world);
    const bool decoy = std::ranges::any_of(
        s.decoys, [step](const Decoy& d) { return step >= d.begin && step < d.end; });
    if (decoy && GetParam() != "search_drawers") {
      EXPECT_EQ(expert->Label().target, -1);
      ++during;
    }
    const Progress p = play.Step(stay);
    ASSERT_FALSE(p.done || p.decisive_reached);
  }
  EXPECT_TRUE(during > 30 || GetParam() == "search_drawers");  // there a round waits for the arm
}

TEST_P(Edition, TheExpertSucceedsAmongDecoys) {
  const auto task = Make(kDecoys);
  const auto world = *World::Load(task->scene());
  int solved = 0;
  for (uint64_t e = 0; e < 20; ++e) {
    RunOptions options;
    options.before_step = [&](World& w, const ExpertLabel& label, Action*) {
      if (label.target >= 0 && GetParam() == "search_drawers") {
        EXPECT_GT(w.model()->geom_rgba[4 * w.Ids<TabletopIds>().cue_lamp], 0.9);
      }
    };
    solved += RunExpert(*task, *world, TestKey(*task, "short", e), options).progress.success;
  }
  EXPECT_GE(solved, 19);
  for (uint64_t e = 0; e < 3; ++e) {
    EXPECT_TRUE(RunExpert(*task, *world, TestKey(*task, "long", e)).progress.success) << e;
  }
  EXPECT_TRUE(RunExpert(*task, *world, TestKey(*task, "longer", 0)).progress.success);
}

TEST_P(Edition, TheExpertSucceedsInHeldOutLayouts) {
  const auto task = Make(kHeldOut);
  const auto world = *World::Load(task->scene());
  for (uint64_t e = 0; e < 3; ++e) {
    EXPECT_TRUE(RunExpert(*task, *world, TestKey(*task, "short", e)).progress.success) << e;
  }
}

// The block of the chore lies farther from the middle of its place than in any seen layout.
TEST_P(Edition, TheBlockStartsWhereNoDemonstrationHasIt) {
  if (GetParam() == "put_back") GTEST_SKIP() << "no chore with the block";
  for (const TaskOptions& options : {kAnywhere, kHeldOut}) {
    Play play(GetParam(), options);
    for (uint64_t e = 0; e < 20; ++e) {
      play.Place("short", e);
      const Vec3 block = BlockPosition(*play.world);
      const auto& place = block[1] < 0 ? kTray : kPad;
      const double off = std::max(std::abs(block[0] - place[0]), std::abs(block[1] - place[1]));
      EXPECT_EQ(off > kPlaceScatter, options.HeldOut());
      EXPECT_LE(off, 1.6 * kPlaceScatter);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tasks, Edition,
                         testing::Values("shell_game", "put_back", "sort_by_cue", "search_drawers"),
                         [](const auto& info) { return info.param; });

TEST(PickPlaceLayout, TheBlockStartsElsewhere) {
  std::array<double, 2> farthest = {0, 0}, nearest = {1, 1};
  for (const bool held_out : {false, true}) {
    Play play("pick_place", held_out ? kHeldOut : kDecoys);
    EXPECT_EQ(play.task->info().instructions, MakeForTest("pick_place")->info().instructions);
    for (uint64_t e = 0; e < 10; ++e) {
      const ExpertRun run = RunExpert(*play.task, *play.world, play.Key("short", e));
      EXPECT_TRUE(run.progress.success) << held_out << " " << e;
      play.Place("short", e);
      const double x = BlockPosition(*play.world)[0];
      farthest[held_out] = std::max(farthest[held_out], x);
      nearest[held_out] = std::min(nearest[held_out], x);
    }
  }
  EXPECT_LT(farthest[0] + 0.01, nearest[1]);
}

}  // namespace
}  // namespace kvla
