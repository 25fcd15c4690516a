// SPDX-License-Identifier: Apache-2.0
// press_named, repeat_sequence, count_presses: what ends an episode, and how it counts.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tasks/buttons.h"
#include "tasks/count_presses/count_presses.h"
#include "tasks/press_named/press_named.h"
#include "tasks/repeat_sequence/repeat_sequence.h"
#include "tests/tasks/play.h"

namespace kvla {
namespace {

// Runs an episode with an expert that was told something else.
ExpertRun RunTold(const std::string& name, const std::string& delay, uint64_t episode,
                  std::function<void(Scenario*)> tell) {
  const auto task = MakeForTest(name);
  const auto world = *World::Load(task->scene());
  RunOptions options;
  options.tell = std::move(tell);
  return RunExpert(*task, *world, TestKey(*task, delay, episode), options);
}

TEST(Buttons, CountOnceUntilTheyComeUpAgain) {
  const auto task = MakeForTest("repeat_sequence");
  const auto world = *World::Load(task->scene());
  ASSERT_TRUE(task->Place(*world, TestKey(*task, "short", 0)).ok());
  const auto push = [&](int button, double depth) {
    const int joint = *world->JointId("button" + std::to_string(button));
    EXPECT_EQ(world->model()->jnt_type[joint], mjJNT_SLIDE);
    world->data()->qpos[world->model()->jnt_qposadr[joint]] = -depth;
  };
  mjtNum down = 0;
  EXPECT_EQ(NewlyPressed(*world, 5, &down), -1);
  push(1, 0.006);
  push(3, 0.006);
  EXPECT_EQ(NewlyPressed(*world, 5, &down), 1);
  EXPECT_EQ(NewlyPressed(*world, 5, &down), 3);
  EXPECT_EQ(NewlyPressed(*world, 5, &down), -1);
  push(1, 0.003);  // not up yet
  EXPECT_EQ(NewlyPressed(*world, 5, &down), -1);
  push(1, 0.006);
  EXPECT_EQ(NewlyPressed(*world, 5, &down), -1);
  push(1, 0.001);
  EXPECT_EQ(NewlyPressed(*world, 5, &down), -1);
  push(1, 0.006);
  EXPECT_EQ(NewlyPressed(*world, 5, &down), 1);
}

TEST(PressNamed, TheInstructionNamesTheColorAndASwappedOneFails) {
  const auto task = MakeForTest("press_named");
  const TaskInfo& info = task->info();
  std::set<int> targets;
  for (uint64_t episode = 0; episode < 40; ++episode) {
    const Scenario s = *task->Draw(TestKey(*task, "short", episode));
    const std::string& named = info.target_names[static_cast<size_t>(s.target)];
    targets.insert(s.target);
    for (const auto phrasing : {Phrasing::kCanonical, Phrasing::kSeen, Phrasing::kHeldOut}) {
      EXPECT_NE(InstructionOf(info, s, phrasing)->find(named), std::string::npos);
    }
    const std::string swapped = *InstructionOf(info, s, Phrasing::kSwapped);
    EXPECT_EQ(swapped.find(" " + named + " "), std::string::npos) << swapped;
    EXPECT_NE(swapped, s.instruction);
  }
  EXPECT_EQ(targets.size(), 4u);
  const auto to = [](int offset) {
    return [offset](Scenario* s) { s->target = (s->target + offset) % kNumColors; };
  };
  EXPECT_TRUE(RunTold("press_named", "short", 1, to(0)).progress.success);
  for (int offset = 1; offset < kNumColors; ++offset) {
    const Progress p = RunTold("press_named", "short", 1, to(offset)).progress;
    EXPECT_TRUE(p.done);
    EXPECT_FALSE(p.success);
    EXPECT_EQ(p.Fraction(), 0.75);
  }
}

TEST(PressNamed, OtherTasksHaveNothingToSwap) {
  const auto task = MakeForTest("recall_color");
  const Scenario s = *task->Draw(TestKey(*task, "short", 0));
  EXPECT_EQ(InstructionOf(task->info(), s, Phrasing::kSwapped).status().code(),
            StatusCode::kBadInput);
  EXPECT_EQ(ParsePhrasing("heldout").status().code(), StatusCode::kBadInput);
  EXPECT_EQ(*ParsePhrasing("held_out"), Phrasing::kHeldOut);
}

TEST(RepeatSequence, LengthsAndOrders) {
  const auto task = MakeForTest("repeat_sequence");
  const std::map<std::string, int> lengths = {{"short", 3}, {"medium", 4}, {"long", 5}};
  for (const auto& [delay, length] : lengths) {
    std::set<std::vector<double>> orders;
    for (uint64_t episode = 0; episode < 100; ++episode) {
      const Scenario s = *task->Draw(TestKey(*task, delay, episode));
      ASSERT_EQ(s.params[RepeatSequence::kLength], length);
      ASSERT_EQ(s.cues.size(), static_cast<size_t>(length));
      const double* order = &s.params[RepeatSequence::kOrder];
      EXPECT_EQ(std::set<double>(order, order + length).size(), static_cast<size_t>(length));
      EXPECT_EQ(s.target, order[0]);
      orders.insert(std::vector<double>(order, order + length));
      for (size_t i = 1; i < s.cues.size(); ++i) {
        EXPECT_GE(s.cues[i].begin_s, s.cues[i - 1].end_s + 0.25);
      }
    }
    EXPECT_GT(orders.size(), 40u);
  }
}

TEST(RepeatSequence, AWrongPressEndsItAndTheFirstMayStillBeRight) {
  const auto swap = [](size_t i, size_t j) {
    return [i, j](Scenario* s) {
      std::swap(s->params[RepeatSequence::kOrder + i], s->params[RepeatSequence::kOrder + j]);
    };
  };
  const Progress second = RunTold("repeat_sequence", "short", 2, swap(1, 2)).progress;
  EXPECT_TRUE(second.done && second.decisive_reached);
  EXPECT_FALSE(second.success || second.decisive_right);
  EXPECT_EQ(second.reached, (std::vector<bool>{true, true, true, true, false}));
  const Progress first = RunTold("repeat_sequence", "short", 2, swap(0, 1)).progress;
  EXPECT_TRUE(first.done && first.decisive_reached);
  EXPECT_EQ(first.reached, (std::vector<bool>{true, true, true, false, false}));
}

TEST(RepeatSequence, APressBeforeGoEndsIt) {
  const ExpertRun run = RunTold("repeat_sequence", "short", 2,
                                [](Scenario* s) { s->params[RepeatSequence::kGo] = 60; });
  EXPECT_TRUE(run.progress.done);
  EXPECT_LT(run.steps, run.scenario.params[RepeatSequence::kGo]);
  EXPECT_FALSE(run.progress.success || run.progress.decisive_reached);
}

// While a cap is lit the label says which, later the one to press next, and nothing else ever.
TEST(RepeatSequence, LabelsFollowTheCaps) {
  const auto task = MakeForTest("repeat_sequence");
  const auto world = *World::Load(task->scene());
  const Scenario s = *task->Draw(TestKey(*task, "short", 1));
  std::map<int, int> lit;
  std::vector<int> decided;
  RunOptions options;
  options.before_step = [&](World& w, const ExpertLabel& label, Action*) {
    if (label.decision) {
      if (decided.empty() || decided.back() != label.target) decided.push_back(label.target);
    } else if (label.target >= 0) {
      ++lit[label.target];
      const int geom = w.Ids<ButtonIds>().caps[static_cast<size_t>(label.target)];
      EXPECT_GT(w.model()->geom_rgba[4 * geom], 0.8f);  // lit indeed
    }
  };
  RunExpert(*task, *world, TestKey(*task, "short", 1), options);
  ASSERT_EQ(decided.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(decided[i], s.params[RepeatSequence::kOrder + i]);
    EXPECT_EQ(lit[decided[i]], kFlashSteps);
  }
  EXPECT_EQ(lit.size(), 3u);
}

TEST(CountPresses, OnlyTheRightNumberCounts) {
  for (int count = 1; count <= CountPresses::kMostBlinks; ++count) {
    const ExpertRun run = RunTold("count_presses", "short", 3, [count](Scenario* s) {
      s->target = count;
      s->params[CountPresses::kCount] = count;
    });
    const bool right = count == run.scenario.target;
    EXPECT_TRUE(run.progress.done && run.progress.decisive_reached) << count;
    EXPECT_EQ(run.progress.success, right) << count;
    EXPECT_EQ(run.progress.reached, (std::vector<bool>{true, true, true, true, right}));
  }
}

TEST(CountPresses, EveryNumberIsAsLikely) {
  const auto task = MakeForTest("count_presses");
  std::map<size_t, int> counts;
  for (uint64_t episode = 0; episode < 400; ++episode) {
    const Scenario s = *task->Draw(TestKey(*task, "long", episode));
    EXPECT_EQ(s.cues.size(), static_cast<size_t>(s.target));
    ++counts[s.cues.size()];
  }
  for (size_t n = 1; n <= 4; ++n) EXPECT_NEAR(counts[n], 100, 40);
}

TEST(CountPresses, TheLeverIsAHingeAndBeforeGoItEndsTheEpisode) {
  const auto task = MakeForTest("count_presses");
  const auto world = *World::Load(task->scene());
  const Scenario s = *task->Place(*world, TestKey(*task, "short", 0));
  const int joint = *world->JointId("lever");
  EXPECT_EQ(world->model()->jnt_type[joint], mjJNT_HINGE);
  EXPECT_FALSE(task->Evaluate(*world, s).done);
  world->data()->qpos[world->model()->jnt_qposadr[joint]] = -0.7;
  task->Update(*world, s);
  const Progress p = task->Evaluate(*world, s);
  EXPECT_TRUE(p.done);
  EXPECT_FALSE(p.success || p.decisive_reached);
}

TEST(CountPresses, LabelsCountUpAndThenDown) {
  const auto task = MakeForTest("count_presses");
  const auto world = *World::Load(task->scene());
  uint64_t episode = 0;
  while (task->Draw(TestKey(*task, "short", episode))->target != 3) ++episode;
  std::vector<int> said;
  RunOptions options;
  options.before_step = [&](World&, const ExpertLabel& label, Action*) {
    if (label.target >= 0 && (said.empty() || said.back() != label.target)) {
      said.push_back(label.target);
    }
  };
  EXPECT_TRUE(RunExpert(*task, *world, TestKey(*task, "short", episode), options).progress.success);
  EXPECT_EQ(said, (std::vector<int>{1, 2, 3, 2, 1, 0}));
}

}  // namespace
}  // namespace kvla
