// SPDX-License-Identifier: Apache-2.0
// A small run of two arms on pick_place, planned from a checkpoint of its own.
#ifndef KVLA_TESTS_HARNESS_RUN_FIXTURE_H_
#define KVLA_TESTS_HARNESS_RUN_FIXTURE_H_

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "harness/eval/eval_run.h"
#include "harness/eval/run_config.h"
#include "tests/harness/test_worker.h"
#include "tests/scratch_dir.h"

namespace kvla {

class RunFixture : public testing::Test {
 protected:
  void SetUp() override {
    config_.checkpoint = MakeCheckpoint(scratch_ / "checkpoint").string();
    config_.episodes = 2;
    config_.tasks = {{"pick_place", {"short"}}};
    config_.arms.resize(2);
    config_.arms[0].name = "full";
    config_.arms[1].name = "window";
    config_.arms[1].cache.policy = "window";
  }
  void ExpectRefused(const std::vector<std::string>& parts) {
    const Result<RunPlan> plan = PlanRun(config_, KVLA_ASSET_ROOT);
    ASSERT_FALSE(plan.ok());
    EXPECT_EQ(plan.status().code(), StatusCode::kBadInput);
    for (const std::string& part : parts) {
      EXPECT_NE(plan.status().message().find(part), std::string::npos)
          << "'" << part << "' is not in: " << plan.status().message();
    }
  }
  RunPlan Plan() {
    Result<RunPlan> plan = PlanRun(config_, KVLA_ASSET_ROOT);
    EXPECT_TRUE(plan.ok()) << plan.status().message();
    return *std::move(plan);
  }
  EvaluationOptions Batch(const std::string& out, const WorkerCommand& command) {
    EvaluationOptions options;
    options.out = scratch_ / out;
    options.command = command;
    options.checkpoint_hash = "hash";
    options.progress = ProgressStyle::kNone;
    return options;
  }

  ScratchDir scratch_;
  RunConfig config_;
};

}  // namespace kvla

#endif  // KVLA_TESTS_HARNESS_RUN_FIXTURE_H_
