// SPDX-License-Identifier: Apache-2.0
#include "harness/live/live_runner.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "harness/eval/runner.h"
#include "kv_efficient/methods/method_table.h"
#include "tests/harness/run_fixture.h"

namespace kvla {
namespace {

class LiveRunnerTest : public RunFixture {
 protected:
  // An episode as `kvla eval` runs it.
  static EpisodeRecord Headless(const RunPlan& plan, const EpisodeJob& job) {
    EpisodeRecorder recorder;
    Result<std::unique_ptr<EpisodeRunner>> runner = EpisodeRunner::Create(plan, {});
    EXPECT_TRUE(runner.ok()) << runner.status().message();
    Result<std::unique_ptr<RunningEpisode>> episode = (*runner)->Begin(job, {}, &recorder);
    EXPECT_TRUE(episode.ok()) << episode.status().message();
    (*runner)->Finish(episode->get());
    return recorder.Take();
  }
  // The same as `kvla view` runs it, with somebody who only watches.
  static EpisodeRecord Watched(const RunPlan& plan, const EpisodeJob& job) {
    EpisodeRecorder recorder;
    LiveRunner live(plan, {job, plan.caches[static_cast<size_t>(job.arm)]}, 0, nullptr);
    TraceEvent event;
    while (!recorder.complete() && live.alive()) {
      if (live.source()->Poll(&event)) {
        recorder.On(event);
      } else {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
    live.Quit();
    EXPECT_TRUE(live.status().ok()) << live.status().message();
    return recorder.Take();
  }
};

TEST_F(LiveRunnerTest, UnderEveryMethodWatchingChangesNothing) {
  config_.arms.clear();
  for (const CacheMethod& method : CacheMethods()) {
    if (method.reads("gate")) continue;  // tests/viewer/view_program_test.cc plays one
    RunArm arm;
    arm.name = arm.cache.policy = method.name;
    arm.cache.window_blocks = 6;
    SetUsualBudget(&arm.cache);
    config_.arms.push_back(arm);
  }
  config_.episodes = 1;
  const RunPlan plan = Plan();
  ASSERT_EQ(plan.jobs.size(), config_.arms.size());
  for (EpisodeJob job : plan.jobs) {
    job.max_inferences = 30;
    const EpisodeRecord headless = Headless(plan, job), watched = Watched(plan, job);
    const std::string& name = headless.begin.cache_policy;
    EXPECT_EQ(headless.end.state_hash, watched.end.state_hash) << name;
    EXPECT_TRUE(watched.end.comparable) << name;
    EXPECT_EQ(headless.begin.method, watched.begin.method) << name;
    ASSERT_EQ(headless.inferences.size(), watched.inferences.size()) << name;
    int kept = 0;
    for (size_t i = 0; i < headless.inferences.size(); ++i) {
      EXPECT_EQ(headless.inferences[i].changes, watched.inferences[i].changes) << name << i;
      for (const ChunkDecision& decision : headless.inferences[i].changes) {
        kept += decision.action == ChunkAction::kWhole ? 1 : 0;
      }
    }
    EXPECT_TRUE(kept > 0 || !FindCacheMethod(name)->scores) << name;
  }
}

}  // namespace
}  // namespace kvla
