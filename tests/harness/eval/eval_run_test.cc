// SPDX-License-Identifier: Apache-2.0
#include "harness/eval/eval_run.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "base/config_io.h"
#include "harness/eval/estimate.h"
#include "harness/eval/runner.h"
#include "harness/workers/core_lock.h"
#include "results/report/report.h"
#include "results/store/run_store.h"
#include "tests/harness/run_fixture.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

class BatchTest : public RunFixture {};

TEST_F(BatchTest, AnEpisodeWhoseWorkersDieIsRetriedOnceThenAnError) {
  const RunPlan plan = Plan();
  EvaluationOptions options = Batch("out", TestWorker("die-on-window", scratch_ / "log"));
  const Result<EvaluationSummary> summary = RunEvaluation(plan, options);
  ASSERT_TRUE(summary.ok()) << summary.status().message();
  EXPECT_EQ(summary->episodes, 4);
  EXPECT_EQ(summary->errors, 2);
  EXPECT_EQ(JobsTaken(scratch_ / "log"), 2 + 2 * 2);
  {
    const Result<RunStore> store = RunStore::Open(scratch_ / "out", RunStore::Mode::kReadOnly);
    ASSERT_TRUE(store.ok());
    const auto rows = store->Episodes();
    ASSERT_TRUE(rows.ok());
    ASSERT_EQ(rows->size(), 4u);
    for (const EpisodeRow& row : *rows) {
      EXPECT_EQ(row.is_error(), row.id.arm == "window");
      EXPECT_EQ(row.error.find("signal 9") != std::string::npos, row.id.arm == "window");
      EXPECT_EQ(row.stages.size(), row.stages_reached.size());
    }
  }
  // They are done, as errors: another call has nothing to do and says so.
  const Result<EvaluationSummary> again = RunEvaluation(plan, options);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->resumed, 4);
  EXPECT_EQ(again->errors, 2);
  EXPECT_EQ(JobsTaken(scratch_ / "log"), 6);
}

TEST_F(BatchTest, EpisodesThatEndedInAnErrorAreRunAgainWhenAskedTo) {
  const RunPlan plan = Plan();
  ASSERT_EQ(RunEvaluation(plan, Batch("out", TestWorker("die-on-window")))->errors, 2);
  EvaluationOptions options = Batch("out", TestWorker("real", scratch_ / "log"));
  options.redo_errors = true;
  const Result<EvaluationSummary> again = RunEvaluation(plan, options);
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_EQ(again->resumed, 2);
  EXPECT_EQ(again->errors, 0);
  EXPECT_EQ(JobsTaken(scratch_ / "log"), 2);
  const Result<RunStore> store = RunStore::Open(scratch_ / "out", RunStore::Mode::kReadOnly);
  ASSERT_TRUE(store.ok());
  const auto rows = store->Episodes();
  ASSERT_EQ(rows->size(), 4u);
  for (const EpisodeRow& row : *rows) EXPECT_FALSE(row.is_error());
  // Without errors there is nothing to do.
  const Result<EvaluationSummary> finished = RunEvaluation(plan, options);
  ASSERT_TRUE(finished.ok());
  EXPECT_EQ(finished->resumed, 4);
  EXPECT_EQ(JobsTaken(scratch_ / "log"), 2);
}

TEST_F(BatchTest, OnlyAWorkerWithACoreOfItsOwnHasLatenciesThatCompare) {
  config_.episodes = 1;
  std::vector<CoreLock> others;
  const auto meta = [&](const std::string& out, int workers) {
    EvaluationOptions options = Batch(out, TestWorker("die"));
    options.core_group = "kvla_run_config_test_" + std::to_string(getpid());
    options.workers = workers;
    if (out == "crowded") {
      while (auto lock = CoreLock::Take(options.core_group)) others.push_back(*std::move(lock));
    }
    EXPECT_TRUE(RunEvaluation(Plan(), options).ok());
    return *RunStore::Open(scratch_ / out, RunStore::Mode::kReadOnly)->Meta();
  };
  const RunMeta alone = meta("alone", 1), two = meta("two", 2), crowded = meta("crowded", 1);
  EXPECT_EQ(alone.at("pinned"), "yes");
  EXPECT_NE(alone.at("protocol").find(R"("latencies","comparable")"), std::string::npos);
  for (const RunMeta* other : {&two, &crowded}) {
    EXPECT_EQ(other->at("pinned"), "no");
    EXPECT_NE(other->at("protocol").find(R"("latencies","not comparable)"), std::string::npos);
  }
}

TEST_F(BatchTest, TheEstimateCountsWhatIsLeft) {
  config_.episodes = 1;
  const RunPlan one = Plan();
  const Result<RunEstimate> before = EstimateRun(one, Batch("out", TestWorker("real")));
  ASSERT_TRUE(before.ok()) << before.status().message();
  EXPECT_EQ(before->episodes, 2);
  EXPECT_EQ(before->control_steps, 2 * one.jobs[0].horizon_steps);
  EXPECT_GT(before->seconds, 0);
  EXPECT_FALSE(fs::exists(scratch_ / "out"));
  ASSERT_TRUE(RunEvaluation(one, Batch("out", TestWorker("real"))).ok());
  // The database holds what was foreseen, give or take the pages of an empty one.
  const double size = static_cast<double>(fs::file_size(scratch_ / "out/run.db"));
  EXPECT_LT(size, before->bytes + 60'000);
  const Result<RunEstimate> after = EstimateRun(one, Batch("out", TestWorker("real")));
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(after->episodes, 0);
}

TEST_F(BatchTest, TheMemoryOfTheWorkersIsKept) {
  config_.episodes = 1;
  const Result<EvaluationSummary> summary = RunEvaluation(Plan(), Batch("out", TestWorker("real")));
  ASSERT_TRUE(summary.ok());
  EXPECT_GT(summary->peak_bytes, int64_t{20} << 20);
  EXPECT_EQ(summary->memory_growth, -1) << "of two episodes nothing can be said";
  EXPECT_GT(summary->control_steps, 0);
  const Result<RunStore> store = RunStore::Open(scratch_ / "out", RunStore::Mode::kReadOnly);
  const auto memory = nlohmann::json::parse(store->Meta()->at("memory"));
  ASSERT_EQ(memory.at("workers").size(), 1u);
  EXPECT_EQ(memory.at("workers")[0].at("episodes"), 2);
  EXPECT_GT(memory.at("workers")[0].at("resident_bytes_last"), 20 << 20);
  EXPECT_GT(memory.at("parent_resident_bytes"), 0);
}

TEST_F(BatchTest, ARunStopsWhenItsRuleHolds) {
  // Every episode is an error here, so that nothing can ever be said: no stop.
  config_.episodes = 12;
  config_.first_episode = 20;
  config_.arms.resize(1);
  config_.stop_when.rule = "rate_within";
  config_.stop_when.points = 49;
  config_.stop_when.min_episodes = 2;
  const Result<EvaluationSummary> errors =
      RunEvaluation(Plan(), Batch("errors", TestWorker("die")));
  ASSERT_TRUE(errors.ok()) << errors.status().message();
  EXPECT_TRUE(errors->stopped.empty());
  EXPECT_EQ(errors->errors, 12);

  // A random policy fails each: soon its rate is known to 49 points.
  size_t kept = 0;
  for (const int workers : {1, 2}) {
    EvaluationOptions options = Batch("out" + std::to_string(workers), TestWorker("real"));
    options.workers = workers;
    const Result<EvaluationSummary> summary = RunEvaluation(Plan(), options);
    ASSERT_TRUE(summary.ok()) << summary.status().message();
    EXPECT_EQ(summary->stopped.size(), 1u);
    const Result<RunStore> store = RunStore::Open(options.out, RunStore::Mode::kReadOnly);
    const std::vector<EpisodeRow> rows = *store->Episodes();
    EXPECT_LT(rows.size(), 12u);
    EXPECT_GE(rows.size(), 2u);
    const auto stopped = nlohmann::json::parse(store->Meta()->at("stopped"));
    EXPECT_EQ(stopped.at("episodes"), rows.size());
    EXPECT_EQ(stopped.at("statements"), nlohmann::json(summary->stopped));
    const std::string table = FormatTable(*BuildReport(*store));
    EXPECT_NE(table.find("Stopped early"), std::string::npos) << table;
    EXPECT_NE(table.find(summary->stopped[0]), std::string::npos) << table;
    // Neither order nor number of workers shows.
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i].id.seed, 20 + static_cast<int64_t>(i));
    }
    if (workers == 1) kept = rows.size();
    EXPECT_EQ(rows.size(), kept);
    // It stays stopped.
    options.command = TestWorker("real", scratch_ / "log");
    const Result<EvaluationSummary> again = RunEvaluation(Plan(), options);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->stopped, summary->stopped);
    EXPECT_EQ(JobsTaken(scratch_ / "log"), 0);
  }
  config_.stop_when.rule = "difference";
  config_.stop_when.against = "ful";
  ExpectRefused({"stop_when", "ful"});
}

// (arm, task, delay, seed) -> outcome and last state.
std::map<EpisodeId, std::pair<std::string, std::string>> Outcomes(const fs::path& out) {
  std::map<EpisodeId, std::pair<std::string, std::string>> outcomes;
  const Result<RunStore> store = RunStore::Open(out, RunStore::Mode::kReadOnly);
  const std::vector<EpisodeRow> rows = *store->Episodes();
  for (const EpisodeRow& row : rows) {
    outcomes[row.id] = {row.outcome, row.state_hash};
  }
  return outcomes;
}

TEST_F(BatchTest, NoOutcomeDependsOnHowManyEpisodesAWorkerSteps) {
  config_.tasks.push_back({"press_named", {"short"}});  // two scenes side by side
  std::map<EpisodeId, std::pair<std::string, std::string>> alone;
  for (const auto& [batch, workers] : {std::pair{1, 1}, {4, 1}, {8, 2}, {4, 2}}) {
    EvaluationOptions options = Batch(fmt::format("out{}-{}", batch, workers), TestWorker("real"));
    options.batch = batch;
    options.workers = workers;
    const Result<EvaluationSummary> summary = RunEvaluation(Plan(), options);
    ASSERT_TRUE(summary.ok()) << summary.status().message();
    EXPECT_EQ(summary->errors, 0);
    if (alone.empty()) alone = Outcomes(options.out);
    ASSERT_FALSE(alone.empty());
    EXPECT_EQ(Outcomes(options.out), alone) << batch << " at a time, " << workers << " workers";
    const Result<RunStore> store = RunStore::Open(options.out, RunStore::Mode::kReadOnly);
    EXPECT_EQ(store->Meta()->at("batch"), std::to_string(batch));
  }
}

TEST_F(BatchTest, AnEpisodeThatTakesItsWorkerDownTakesNoOtherAlong) {
  const fs::path real = Batch("real", TestWorker("real")).out;
  ASSERT_TRUE(RunEvaluation(Plan(), Batch("real", TestWorker("real"))).ok());
  EvaluationOptions options = Batch("killed", TestWorker("die-on-first"));
  options.batch = 4;
  const Result<EvaluationSummary> summary = RunEvaluation(Plan(), options);
  ASSERT_TRUE(summary.ok()) << summary.status().message();
  EXPECT_EQ(summary->errors, 1);
  auto want = Outcomes(real);
  int killed = 0;
  for (const auto& [id, outcome] : Outcomes(options.out)) {
    if (outcome.first == "error") {
      ++killed;
      EXPECT_EQ(id.seed, 0);
      EXPECT_EQ(id.arm, config_.arms[0].name);
    } else {
      EXPECT_EQ(outcome, want.at(id)) << ToString(id);
    }
  }
  EXPECT_EQ(killed, 1);
}

TEST_F(BatchTest, AClockThatMeasuresThePolicyWantsOneEpisodeAtATime) {
  config_.arms[0].clock.kind = "wall";
  EvaluationOptions options = Batch("wall", TestWorker("real"));
  options.batch = 2;
  const Result<EvaluationSummary> refused = RunEvaluation(Plan(), options);
  EXPECT_EQ(refused.status().code(), StatusCode::kBadInput);
  EXPECT_NE(refused.status().message().find("batch of 1"), std::string::npos)
      << refused.status().message();
}

TEST_F(BatchTest, LooksAtTheEvaluationSplitAloneAreWrittenDown) {
  config_.episodes = 1;
  for (const std::string split : {"validation", "evaluation"}) {
    config_.split = split;
    EvaluationOptions options = Batch(split, TestWorker("die"));
    options.ledger = scratch_ / (split + ".jsonl");
    ASSERT_TRUE(RunEvaluation(Plan(), options).ok());
    EXPECT_EQ(fs::exists(options.ledger), split == "evaluation");
  }
}

TEST_F(BatchTest, ARunThatGoesOnOtherwiseSaysSo) {
  const auto run = [&](int workers) {
    EvaluationOptions options = Batch("out", TestWorker("die"));
    options.core_group = "kvla_run_config_test_" + std::to_string(getpid());
    options.workers = workers;
    ASSERT_TRUE(RunEvaluation(Plan(), options).ok());
  };
  const auto change = [&](bool drop) {
    Result<RunStore> store = RunStore::Open(scratch_ / "out", RunStore::Mode::kReadWrite);
    if (drop) {
      EXPECT_EQ(*store->DropFrom(1), 2);
    }
    return *store->Meta();
  };
  run(1);
  EXPECT_EQ(change(true).at("workers"), "1");
  {
    Result<RunStore> store = RunStore::Open(scratch_ / "out", RunStore::Mode::kReadWrite);
    ASSERT_TRUE(store->PutMeta("cpu", "an abacus").ok());
  }
  run(2);
  const RunMeta meta = change(false);
  EXPECT_EQ(meta.at("workers"), "1 | 2");
  EXPECT_TRUE(meta.at("cpu").starts_with("an abacus | ")) << meta.at("cpu");
  EXPECT_NE(meta.at("protocol").find("an abacus"), std::string::npos);
  EXPECT_EQ(meta.at("pinned"), "yes | no");
  EXPECT_NE(meta.at("protocol").find(R"("workers","1 | 2")"), std::string::npos);
  EXPECT_NE(meta.at("protocol").find(R"("latencies","not comparable)"), std::string::npos);
  // A look at a finished run changes nothing.
  run(3);
  EXPECT_EQ(change(false), meta);
}

TEST_F(BatchTest, ArmsAreComparedWithThoseUnderTheSameClock) {
  config_.episodes = 1;
  config_.arms[0].name = "full";
  for (const char* policy : {"full", "window"}) {
    for (const double rate : {10.0, 20.0}) {
      RunArm arm;
      arm.name = fmt::format("{}@{:g}", policy, rate);
      arm.cache.policy = policy;
      arm.clock.kind = "simulated";
      arm.clock.constant_ms = 50;
      arm.clock.control_rate_hz = rate;
      config_.arms.push_back(arm);
    }
  }
  ASSERT_TRUE(RunEvaluation(Plan(), Batch("out", TestWorker("die"))).ok());
  const Result<RunStore> store = RunStore::Open(scratch_ / "out", RunStore::Mode::kReadOnly);
  const auto arms = nlohmann::json::parse(store->Meta()->at("clocked_arms"));
  ASSERT_EQ(arms.size(), 4u);
  EXPECT_EQ(arms.at("window@10").at("twin"), "window");
  EXPECT_EQ(arms.at("window@10").at("full"), "full@10");
  EXPECT_EQ(arms.at("window@20").at("full"), "full@20");
  EXPECT_EQ(arms.at("window@20").at("control_rate_hz"), 20);
  EXPECT_EQ(arms.at("full@20").at("twin"), "full");
  EXPECT_EQ(arms.at("full@20").at("full"), "");
}

TEST_F(BatchTest, AnEpisodeThatHangsIsKilledAtItsLimit) {
  config_.episodes = 1;
  config_.arms.resize(1);
  RunPlan plan = Plan();
  plan.config.episode_limit_s = 0.3;
  const Result<EvaluationSummary> summary =
      RunEvaluation(plan, Batch("out", TestWorker("hang", scratch_ / "log")));
  ASSERT_TRUE(summary.ok()) << summary.status().message();
  EXPECT_EQ(summary->errors, 1);
  EXPECT_EQ(JobsTaken(scratch_ / "log"), 2);
  const Result<RunStore> store = RunStore::Open(scratch_ / "out", RunStore::Mode::kReadOnly);
  EXPECT_NE(store->Episodes()->at(0).error.find("hung"), std::string::npos);
}

TEST_F(BatchTest, ARunOfOtherSettingsIsRefusedBeforeAnythingIsDone) {
  config_.episodes = 1;
  config_.arms.resize(1);
  ASSERT_TRUE(RunEvaluation(Plan(), Batch("out", TestWorker("die"))).ok());
  config_.seed = 5;
  const Result<EvaluationSummary> other =
      RunEvaluation(Plan(), Batch("out", TestWorker("die", scratch_ / "log")));
  EXPECT_EQ(other.status().code(), StatusCode::kBadInput);
  EXPECT_NE(other.status().message().find("seed"), std::string::npos);
  config_.seed = 0;
  EvaluationOptions weights = Batch("out", TestWorker("die", scratch_ / "log"));
  weights.checkpoint_hash = "another";
  EXPECT_EQ(RunEvaluation(Plan(), weights).status().code(), StatusCode::kBadInput);
  RunPlan part = Plan();
  ASSERT_TRUE(TakeShard(1, 2, &part).ok());
  const Status shard = RunEvaluation(part, Batch("out", TestWorker("die"))).status();
  EXPECT_NE(shard.message().find("shard is '1/1' in the run, '1/2' now"), std::string::npos)
      << shard.message();
  RunPlan scenes = Plan();
  scenes.assets_hash = "other scenes";
  RunPlan latencies = Plan();
  latencies.recorded_ms[0] = {20, 30};
  EXPECT_NE(RunEvaluation(latencies, Batch("out", TestWorker("die")))
                .status()
                .message()
                .find("recorded_hash"),
            std::string::npos);
  EXPECT_NE(
      RunEvaluation(scenes, Batch("out", TestWorker("die"))).status().message().find("assets_hash"),
      std::string::npos);
  {
    Result<RunStore> store = RunStore::Open(scratch_ / "out", RunStore::Mode::kReadWrite);
    ASSERT_TRUE(store->PutMeta("commit", "0123abc").ok());
  }
  const Status program = RunEvaluation(Plan(), Batch("out", TestWorker("die"))).status();
  EXPECT_NE(program.message().find("commit is '0123abc' in the run"), std::string::npos)
      << program.message();
  EXPECT_EQ(JobsTaken(scratch_ / "log"), 0);
}

}  // namespace
}  // namespace kvla
