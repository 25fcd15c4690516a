// SPDX-License-Identifier: Apache-2.0
#include "tasks/put_back/put_back.h"

#include <gtest/gtest.h>

#include "tasks/tabletop.h"
#include "tests/tasks/play.h"

namespace kvla {
namespace {

class PutBackTest : public testing::Test {
 protected:
  PutBackTest() : task_(MakeForTest("put_back")), world_(*World::Load(task_->scene())) {}

  Vec3 Pad(int pad) const {
    const auto place = PutBack::PadPlace(pad);
    return {place[0], place[1], kBlockHalf};
  }

  std::unique_ptr<Task> task_;
  std::unique_ptr<World> world_;
};

// The block comes when the cue begins, to the target's pad, and not before.
TEST_F(PutBackTest, TheBlockAppearsOnItsPad) {
  constexpr int kUntouched = 30;  // control steps before the hand can have lifted it
  const EpisodeKey key = TestKey(*task_, "short", 4);
  const Scenario s = *task_->Draw(key);
  int labelled = 0;
  RunOptions options;
  options.before_step = [&](World& world, const ExpertLabel& label, Action*) {
    const int step = world.control_steps();
    const bool cue = step >= s.params[PutBack::kArrive] && step < s.cues[0].end_s * kControlRateHz;
    const Vec3 block = BlockPosition(world);
    if (step < s.params[PutBack::kArrive]) {
      EXPECT_GT(block[0], 1.5);
    } else if (step < s.params[PutBack::kArrive] + kUntouched) {
      EXPECT_LT(Distance(block, Pad(s.target)), 0.025);
    }
    EXPECT_EQ(label.decision, step >= s.params[PutBack::kGo]);
    EXPECT_EQ(label.target, cue || label.decision ? s.target : -1);
    labelled += cue;
  };
  EXPECT_TRUE(RunExpert(*task_, *world_, key, options).progress.success);
  EXPECT_EQ(labelled, 40);
  EXPECT_LT(Distance(BlockPosition(*world_), Pad(s.target)), 0.03);
}

TEST_F(PutBackTest, AnotherPadIsWrong) {
  for (int offset = 1; offset < PutBack::kPads; ++offset) {
    RunOptions options;
    options.tell = [offset](Scenario* s) { s->target = (s->target + offset) % PutBack::kPads; };
    const Progress p = RunExpert(*task_, *world_, TestKey(*task_, "short", 2), options).progress;
    EXPECT_TRUE(p.done && p.decisive_reached);
    EXPECT_FALSE(p.success || p.decisive_right);
    EXPECT_EQ(p.reached, (std::vector<bool>{true, true, true, false}));
  }
}

TEST_F(PutBackTest, BackBeforeGoIsAFailureAndLeavingItThereIsNoAnswer) {
  RunOptions early;
  early.tell = [](Scenario* s) { s->params[PutBack::kGo] = s->params[PutBack::kArrive] + 60; };
  const ExpertRun run = RunExpert(*task_, *world_, TestKey(*task_, "short", 2), early);
  EXPECT_TRUE(run.progress.done);
  EXPECT_LT(run.steps, run.scenario.params[PutBack::kGo]);
  EXPECT_FALSE(run.progress.success || run.progress.decisive_reached);

  RunOptions never;
  never.tell = [](Scenario* s) { s->params[PutBack::kGo] = 1e6; };
  never.before_step = [](World&, const ExpertLabel&, Action* action) {
    *action = Action();
    action->value[6] = -1;
  };
  const ExpertRun idle = RunExpert(*task_, *world_, TestKey(*task_, "short", 2), never);
  EXPECT_EQ(idle.steps, idle.scenario.horizon_steps);
  EXPECT_FALSE(idle.progress.done || idle.progress.success || idle.progress.decisive_reached);
  EXPECT_EQ(idle.progress.Fraction(), 0);
}

}  // namespace
}  // namespace kvla
