// SPDX-License-Identifier: Apache-2.0
#include "tasks/put_back/put_back.h"

#include <gtest/gtest.h>

#include "tasks/tabletop.h"
#include "tests/tasks/editions.h"
#include "tests/tasks/play.h"

namespace kvla {
namespace {

int At(const Scenario& s, size_t param) { return static_cast<int>(s.params[param]); }

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

// On a pad stands what looks like the block but for its color; nothing stands there else.
TEST(PutBackDecoys, AnotherBlockStandsOnAPad) {
  for (const TaskOptions& options : {kDecoys, kHeldOut}) {
    Play play("put_back", options);
    const Decoy decoy = FindDecoy(
        &play, [&](const Decoy& d) { return d.end < At(play.scenario, PutBack::kArrive); });
    const Scenario s = play.scenario;
    const auto differ = [](const Image& a, const Image& b) {
      int n = 0;
      for (size_t i = 0; i < a.rgb.size(); i += 3) {
        n += !std::equal(&a.rgb[i], &a.rgb[i] + 3, &b.rgb[i]);
      }
      return n;
    };
    play.Idle(decoy.begin - 1);
    const Image bare = play.Look(256);
    play.Idle(decoy.begin + 10);
    const Image shown = play.Look(256);
    // Not the block: that one waits out of sight.
    EXPECT_GT(BlockPosition(*play.world)[0], 1.5);
    EXPECT_GE(differ(bare, shown), 150);
    const bool violet = options.HeldOut();
    EXPECT_GE(CountPixels(shown,
                          [violet](int r, int g, int b) {
                            return violet ? r > g + 30 && b > r + 10 : b > g + 40 && g > r + 10;
                          }),
              150);
    play.Idle(decoy.end);
    EXPECT_EQ(differ(bare, play.Look(256)), 0);
    // In the very place where the block would stand: hidden by it, if it is put there.
    play.Place("medium", s.episode);
    play.Idle(decoy.begin + 10);
    const auto pad = PutBack::PadPlace(decoy.what);
    const Vec3 place = {pad[0] + s.params[PutBack::kX], pad[1] + s.params[PutBack::kY], kBlockHalf};
    NameLookup names(*play.world);
    const int site = names.Id(mjOBJ_SITE, "decoy" + std::to_string(decoy.what));
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(play.world->data()->site_xpos[3 * static_cast<size_t>(site) + i], place[i], 1e-9);
    }
  }
}

// While the block waits to be fetched no decoy stands beside it, even if the arm is slow.
TEST(PutBackDecoys, TheBlockStandsAlone) {
  Play play("put_back", kDecoys);
  const Decoy decoy = FindDecoy(
      &play, [&](const Decoy& d) { return d.begin > At(play.scenario, PutBack::kArrive); });
  play.Idle(decoy.begin + 10);
  const mjModel* m = play.world->model();
  const int first = mj_name2id(m, mjOBJ_SITE, "decoy0");
  for (int pad = 0; pad < PutBack::kPads; ++pad) {
    EXPECT_EQ(m->site_rgba[4 * (first + pad) + 3], 0);
  }
  EXPECT_EQ(play.Memory(PutBack::kTaken), 0);
}

TEST(PutBackLayout, TheBlockStandsFartherFromTheMiddle) {
  for (const TaskOptions& options : {kAnywhere, kHeldOut}) {
    const auto task = MakeForTest("put_back", options);
    for (uint64_t e = 0; e < 100; ++e) {
      const Scenario s = *task->Draw(TestKey(*task, "short", e));
      const double off = std::max(std::abs(s.params[PutBack::kX]), std::abs(s.params[PutBack::kY]));
      EXPECT_EQ(off > 0.010, options.HeldOut());
      EXPECT_LE(off, 0.016);
    }
  }
}

}  // namespace
}  // namespace kvla
