// SPDX-License-Identifier: Apache-2.0
// A published policy's tiny checkpoint in the loop.
#include <gtest/gtest.h>

#include "harness/eval/runner.h"
#include "kv_efficient/methods/learned/random_gate.h"
#include "results/report/compare.h"
#include "results/report/no_success.h"
#include "results/report/report.h"
#include "tests/harness/run_fixture.h"
#include "tests/policy/backbones/smolvla/loop_smolvla.h"

namespace kvla {
namespace {

class SmolVlaRunTest : public RunFixture {
 protected:
  void SetUp() override {
    RunFixture::SetUp();
    config_.checkpoint = MakeLoopSmolVla(scratch_ / "smolvla").string();
    config_.adapter = LoopAdapter();
    config_.episodes = 1;
    for (RunArm& arm : config_.arms) arm.cache.window_blocks = 2, arm.cache.chunk_blocks = 1;
  }
  std::vector<EpisodeRow> Rows(const std::string& out) const {
    const auto store = RunStore::Open(scratch_ / out, RunStore::Mode::kReadOnly);
    EXPECT_TRUE(store.ok());
    return *store->Episodes();
  }
};

TEST_F(SmolVlaRunTest, EpisodesEndAndResumeToTheSameStates) {
  const RunPlan plan = Plan();
  ASSERT_TRUE(CheckPolicies(plan).ok());
  const auto whole = RunEvaluation(plan, Batch("whole", TestWorker("real")));
  ASSERT_TRUE(whole.ok()) << whole.status().message();
  EXPECT_EQ(whole->errors, 0);
  // The arm `window` is lost with its worker and run again.
  ASSERT_TRUE(RunEvaluation(plan, Batch("again", TestWorker("die-on-window"))).ok());
  EvaluationOptions redo = Batch("again", TestWorker("real"));
  redo.redo_errors = true;
  const auto again = RunEvaluation(plan, redo);
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_EQ(again->resumed, 1);
  const auto rows = Rows("whole"), others = Rows("again");
  ASSERT_EQ(rows.size(), 2U);
  ASSERT_EQ(others.size(), 2U);
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].error, "");
    EXPECT_EQ(rows[i].state_hash, others[i].state_hash) << rows[i].id.arm;
  }
  EXPECT_NE(rows[0].state_hash, rows[1].state_hash);  // what is remembered moves the hand
  const auto store = RunStore::Open(scratch_ / "whole", RunStore::Mode::kReadOnly);
  EXPECT_NE(store->Meta()->at("protocol").find("front at 56x40 as observation.images.camera1"),
            std::string::npos);
}

TEST_F(SmolVlaRunTest, WhatDoesNotFitTheRobotIsRefusedBeforeAnythingRuns) {
  const RunConfig good = config_;
  config_.adapter.replan_steps = 60;
  ExpectRefused({"60 actions", "has 6"});
  config_ = good;
  config_.adapter.cameras[1].camera = "wirst";
  ExpectRefused({"wirst"});
  config_ = good;
  config_.arms[1].cache.policy = "gated";
  config_.arms[1].cache.gate = kRandomGate;
  ExpectRefused({"arms[1]", "gate: random", "name a trained gate"});
  config_ = good;
  config_.arms[1].cache.policy = "mean_pool";
  const Status status = CheckPolicies(Plan()).status();
  EXPECT_NE(status.message().find("possible are full, window"), std::string::npos)
      << status.message();
}

TEST_F(SmolVlaRunTest, AShapeNeedsNoCheckpoint) {
  config_.checkpoint = "";
  config_.adapter = {};
  config_.backbone.shape = "smolvla", config_.backbone.weights = "random";
  config_.arms[1].cache.policy = "gated";
  config_.arms[1].cache.gate = kRandomGate;
  const RunPlan plan = Plan();
  EXPECT_TRUE(plan.random_weights);
  EXPECT_EQ(plan.policy.tokens_per_block, 145);
  EXPECT_EQ(plan.policy.cameras[0].width, 256);
}

// The outcomes are there; nobody is told them.
TEST_F(SmolVlaRunTest, RandomWeightsHaveNoSuccess) {
  RunPlan plan = Plan();
  plan.random_weights = true;
  ASSERT_TRUE(RunEvaluation(plan, Batch("out", TestWorker("real"))).ok());
  auto store = RunStore::Open(scratch_ / "out", RunStore::Mode::kReadOnly);
  ASSERT_TRUE(store.ok());
  const auto report = BuildReport(*store);
  ASSERT_TRUE(report.ok()) << report.status().message();
  const std::string table = FormatTable(*report);
  EXPECT_NE(table.find(kNoSuccess), std::string::npos);
  EXPECT_EQ(table.find("decisive"), std::string::npos);
  EXPECT_EQ(table.find("McNemar"), std::string::npos);
  EXPECT_NE(table.find("Latency of an inference"), std::string::npos);
  const nlohmann::json json = ReportJson(*report, true);
  EXPECT_EQ(json["no_success"], kNoSuccess);
  EXPECT_TRUE(json["rows"][0]["success"]["rate"].is_null());
  EXPECT_TRUE(json["episodes"][0]["success"].is_null());
  EXPECT_EQ(json["episodes"][0]["outcome"], kEnded);
  EXPECT_EQ(FormatEpisodes(*report).find("failure"), std::string::npos);
  std::vector<RunStore> runs;
  runs.push_back(*std::move(store));
  EXPECT_NE(CompareRuns(runs, {}).status().message().find(kNoSuccess), std::string::npos);
}

}  // namespace
}  // namespace kvla
