// SPDX-License-Identifier: Apache-2.0
// What holds for every task of the list, at every delay.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "sim/specs.h"
#include "tests/tasks/play.h"

namespace kvla {
namespace {

class Suite : public testing::TestWithParam<std::string> {
 protected:
  Suite() : task_(MakeForTest(GetParam())), world_(*World::Load(task_->scene())) {}

  std::unique_ptr<Task> task_;
  std::unique_ptr<World> world_;
};

std::string Name(const testing::TestParamInfo<std::string>& info) { return info.param; }

// Any MuJoCo warning is an error of Step().
TEST_P(Suite, TheExpertSolvesItAtEveryDelayStageAfterStage) {
  const TaskInfo& info = task_->info();
  EXPECT_EQ(info.name, GetParam());
  for (const std::string& delay : info.delays) {
    for (uint64_t episode = 0; episode < 2; ++episode) {
      RunOptions options;
      options.before_step = [&info](World&, const ExpertLabel& label, Action*) {
        ASSERT_GE(label.target, -1);
        ASSERT_LT(label.target, std::max(1, info.num_targets));
        if (label.decision) {
          ASSERT_GE(label.target, 0);
          ASSERT_LT(label.target, info.num_choices);
        }
        for (const double w : label.waypoint) ASSERT_LT(std::abs(w), 1.0);
      };
      const ExpertRun run = RunExpert(*task_, *world_, TestKey(*task_, delay, episode), options);
      EXPECT_TRUE(run.progress.success) << delay << " " << episode;
      EXPECT_EQ(run.progress.Fraction(), 1) << delay << " " << episode;
      for (size_t i = 1; i < run.reached_at.size(); ++i) {
        EXPECT_LE(run.reached_at[i - 1], run.reached_at[i])
            << delay << " " << episode << ": '" << info.stages[i].name << "' before '"
            << info.stages[i - 1].name << "'";
      }
      EXPECT_EQ(run.progress.decisive_right, info.needs_memory);
    }
  }
}

// In the plane a policy can move only on the line to where it believes the motion to lead.
TEST_P(Suite, TheExpertMovesOnTheLineToTheWaypoint) {
  constexpr double kMove = 0.004, kFar = 0.01, kAligned = 0.9;  // metres; cosine
  int moves = 0, astray = 0;
  RunOptions options;
  options.before_step = [&](World& world, const ExpertLabel& label, const Action* action) {
    const std::array<double, 3> ee = world.EndEffector().position;
    const double x = action->value[0] * kMaxDeltaPosition, wx = label.waypoint[0] - ee[0];
    const double y = action->value[1] * kMaxDeltaPosition, wy = label.waypoint[1] - ee[1];
    const double move = std::hypot(x, y), way = std::hypot(wx, wy);
    if (move < kMove || way < kFar) return;
    ++moves;
    if (x * wx + y * wy < kAligned * move * way) ++astray;
  };
  for (uint64_t episode = 0; episode < 2; ++episode) {
    RunExpert(*task_, *world_, TestKey(*task_, task_->info().delays.front(), episode), options);
  }
  EXPECT_GT(moves, 20);
  EXPECT_EQ(astray, 0) << "of " << moves;
}

TEST_P(Suite, AnEpisodeIsAFunctionOfItsKey) {
  const std::string delay = task_->info().delays.front();
  const auto other = *World::Load(task_->scene());
  // Another episode before it leaves no trace.
  RunExpert(*task_, *other, TestKey(*task_, task_->info().delays.back(), 5));
  const EpisodeKey key = TestKey(*task_, delay, 3);
  const ExpertRun a = RunExpert(*task_, *world_, key);
  const ExpertRun b = RunExpert(*task_, *other, key);
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.scenario.params, b.scenario.params);
  EXPECT_EQ(world_->StateHash(), other->StateHash());
}

TEST_P(Suite, WithoutTheCueTheExpertIsNoBetterThanChance) {
  const TaskInfo& info = task_->info();
  if (!info.needs_memory) GTEST_SKIP() << "a control";
  const int n = 16;
  int decided = 0, right = 0;
  RunOptions options;
  options.blind = true;
  for (int episode = 0; episode < n; ++episode) {
    const ExpertRun run =
        RunExpert(*task_, *world_,
                  TestKey(*task_, info.delays.front(), static_cast<uint64_t>(episode)), options);
    decided += run.progress.decisive_reached;
    right += run.progress.decisive_right;
  }
  EXPECT_GE(decided, n - 1);
  const double mean = n * info.chance;
  EXPECT_LE(right, mean + 3.5 * std::sqrt(mean * (1 - info.chance)) + 0.5);
}

// Drawn without a world: what the seams between task, policy and results rest on.
TEST_P(Suite, SchedulesKeepTheirPromises) {
  const TaskInfo& info = task_->info();
  ASSERT_FALSE(info.delays.empty());
  EXPECT_LE(info.num_targets, kMaxTargets);
  EXPECT_LE(info.num_choices, info.num_targets);
  double shorter = 0;  // mean time between the last cue and its use, at the delay before
  for (const std::string& delay : info.delays) {
    const int n = 200;
    double wait = 0;
    std::map<int, int> targets;
    std::set<double> first_cues;
    for (uint64_t episode = 0; episode < n; ++episode) {
      const auto drawn = task_->Draw(TestKey(*task_, delay, episode));
      ASSERT_TRUE(drawn.ok()) << drawn.status().message();
      const Scenario& s = *drawn;
      EXPECT_GE(s.horizon_steps, 150);
      EXPECT_LE(s.horizon_steps, 2400);
      EXPECT_GE(s.target_places.size(), static_cast<size_t>(info.num_choices));
      EXPECT_LE(s.target_places.size(), static_cast<size_t>(info.num_targets));
      if (info.num_targets > 0) {
        EXPECT_GE(s.target, 0);
        EXPECT_LT(s.target, info.num_choices);
        ++targets[s.target];
      }
      if (!info.needs_memory) {
        EXPECT_TRUE(s.cues.empty());
        continue;
      }
      ASSERT_FALSE(s.cues.empty());
      double last = 0;
      for (const CueInterval& cue : s.cues) {
        EXPECT_GE(cue.begin_s, 3.97);
        EXPECT_GT(cue.end_s, cue.begin_s);
        last = std::max(last, cue.end_s);
      }
      first_cues.insert(s.cues.front().begin_s);
      // Longer than a window of 16 blocks.
      EXPECT_GT(s.decision_s, s.cues.front().end_s + 3.2);
      EXPECT_LT(s.decision_s, s.horizon_steps * kControlPeriod);
      wait += (s.decision_s - s.cues.front().end_s) / n;
    }
    if (!info.needs_memory) continue;
    EXPECT_GT(first_cues.size(), 20u) << "the cue's time must be random";
    EXPECT_GT(wait, shorter);
    shorter = wait;
    EXPECT_GT(info.chance, 0);
    EXPECT_LT(info.chance, 0.6);
    EXPECT_GE(targets.size(), 2u);
    for (const auto& [target, count] : targets) EXPECT_LE(count, 0.65 * n) << target;
  }
}

TEST_P(Suite, HasParaphrasesAndHoldsSomeBack) {
  const TaskInfo& info = task_->info();
  ASSERT_GE(info.instructions.size(), 4u);
  EXPECT_GE(info.held_out_instructions.size(), 3u);
  EXPECT_EQ(info.instructions.front(), info.instruction);
  std::set<std::string> all(info.instructions.begin(), info.instructions.end());
  all.insert(info.held_out_instructions.begin(), info.held_out_instructions.end());
  EXPECT_EQ(all.size(), info.instructions.size() + info.held_out_instructions.size());
  std::set<std::string> seen, held_out;
  for (uint64_t episode = 0; episode < 100; ++episode) {
    const Scenario s = *task_->Draw(TestKey(*task_, info.delays.front(), episode));
    EXPECT_EQ(*InstructionOf(info, s, Phrasing::kCanonical), s.instruction);
    EXPECT_EQ(s.instruction.find('{'), std::string::npos);
    seen.insert(*InstructionOf(info, s, Phrasing::kSeen));
    held_out.insert(*InstructionOf(info, s, Phrasing::kHeldOut));
    EXPECT_EQ(*InstructionOf(info, s, Phrasing::kSeen), *InstructionOf(info, s, Phrasing::kSeen));
  }
  EXPECT_GE(seen.size(), info.instructions.size());
  EXPECT_GE(held_out.size(), info.held_out_instructions.size());
  for (const std::string& text : held_out) EXPECT_FALSE(seen.contains(text)) << text;
}

INSTANTIATE_TEST_SUITE_P(Tasks, Suite, testing::ValuesIn(TaskNames()), Name);

}  // namespace
}  // namespace kvla
