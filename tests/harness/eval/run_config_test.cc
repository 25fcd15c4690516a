// SPDX-License-Identifier: Apache-2.0
#include "harness/eval/run_config.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "base/config_io.h"
#include "harness/eval/eval_worker.h"
#include "harness/eval/measuring_conditions.h"
#include "harness/eval/runner.h"
#include "policy/compact/policy_config.h"
#include "results/store/run_store.h"
#include "tests/harness/run_fixture.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

class RunConfigTest : public RunFixture {};

TEST_F(RunConfigTest, JobsAreEveryArmTaskDelayAndSeedOnce) {
  config_.tasks = {{"pick_place", {}}, {"recall_color", {"short", "long"}}};
  config_.episodes = 7;
  config_.first_episode = 100;
  const RunPlan plan = Plan();
  std::set<std::tuple<int, std::string, std::string, int64_t>> jobs;
  double weight = 0;
  for (const EpisodeJob& job : plan.jobs) {
    jobs.insert({job.arm, job.task, job.delay, job.seed});
    weight += job.weight;
    EXPECT_GE(job.seed, 100);
    EXPECT_LT(job.seed, 107);
  }
  EXPECT_EQ(jobs.size(), plan.jobs.size());
  EXPECT_EQ(plan.jobs.size(), size_t{2 * 7 * 3});  // pick_place has one delay
  EXPECT_NEAR(weight, static_cast<double>(plan.jobs.size()), 1e-9);
  // The longest recall episode: 190 inferences or more, five a second.
  EXPECT_GT(plan.max_blocks, 190);
  EXPECT_LT(plan.max_blocks, 400);
}

TEST_F(RunConfigTest, UnknownNamesGetTheNearestOne) {
  config_.tasks = {{"pick_plaice", {}}};
  ExpectRefused({"tasks[0]", "unknown task 'pick_plaice'", "did you mean 'pick_place'?"});
  config_.tasks = {{"pick_place", {}}, {"recall_color", {"lung"}}};
  ExpectRefused({"tasks[1]", "no delay 'lung'", "did you mean 'long'?"});
}

TEST_F(RunConfigTest, UnknownArmInAnOverride) {
  const Status status = OverrideConfig({"arms.windw.cache.window_blocks=3"}, &config_);
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_NE(status.message().find("did you mean 'window'?"), std::string::npos) << status.message();
  EXPECT_TRUE(OverrideConfig({"arms.window.cache.window_blocks=3"}, &config_).ok());
  EXPECT_EQ(config_.arms[1].cache.window_blocks, 3);
}

TEST_F(RunConfigTest, Duplicates) {
  config_.arms[1].name = "full";
  ExpectRefused({"two arms are called 'full'"});
  config_.arms[1].name = "";
  ExpectRefused({"arms[1]", "no name"});
  config_.arms[1].name = "window";
  config_.tasks.push_back(config_.tasks[0]);
  ExpectRefused({"tasks[1]", "'pick_place'", "twice"});
  config_.tasks = {{"pick_place", {"short", "short"}}};
  ExpectRefused({"tasks[0]", "'short'", "twice"});
}

TEST_F(RunConfigTest, ASplitIsAnotherStreamAndNeverTraining) {
  const RunPlan evaluation = Plan();
  config_.split = "validation";
  const RunPlan validation = Plan();
  EXPECT_EQ(SettingsOf(evaluation, evaluation.jobs[0]).key.split, Split::kEvaluation);
  EXPECT_EQ(SettingsOf(validation, validation.jobs[0]).key.split, Split::kValidation);
  EXPECT_EQ(OverrideConfig({"split=train"}, &config_).code(), StatusCode::kBadInput);
}

TEST_F(RunConfigTest, NothingToRun) {
  const RunConfig good = config_;
  config_.tasks.clear();
  ExpectRefused({"'tasks' is empty"});
  config_ = good;
  config_.arms.clear();
  ExpectRefused({"'arms' is empty"});
  config_ = good;
  config_.checkpoint = "";
  ExpectRefused({"'checkpoint' is empty"});
}

TEST_F(RunConfigTest, ContradictoryCaches) {
  config_.arms[1].cache.gate = "a.safetensors";
  ExpectRefused({"arms[1] 'window'", "does not read 'gate'"});
  config_.arms[1].cache = {};
  config_.arms[1].cache.policy = "random";
  config_.arms[1].cache.budget_chunks = 2;
  config_.arms[1].cache.keep_rate = 0.1;
  ExpectRefused({"arms[1] 'window'", "contradict"});
  config_.arms[1].cache = {};
  config_.arms[1].cache.policy = "gated";
  ExpectRefused({"needs 'gate'"});
  config_.arms[1].cache.gate = "no/gate.safetensors";
  ExpectRefused({"arms[1] 'window'", "no/gate.safetensors is not there", "kvla train-gate"});
}

TEST_F(RunConfigTest, AnotherKeepThanTheGatesIsWarnedOf) {
  const std::filesystem::path gate = scratch_ / "gate.safetensors";
  const std::string header = R"({"__metadata__":{"keep":"compressed"}})";
  const uint64_t length = header.size();
  std::ofstream(gate, std::ios::binary)
      << std::string(reinterpret_cast<const char*>(&length), sizeof(length)) << header;
  config_.arms[1].cache.policy = "gated";
  config_.arms[1].cache.gate = gate.string();
  const size_t before = Plan().warnings.size();
  const RunPlan plan = Plan();
  ASSERT_FALSE(plan.warnings.empty());
  EXPECT_NE(plan.warnings.back().find("arms[1] 'window': gate"), std::string::npos)
      << plan.warnings.back();
  config_.arms[1].cache.keep = "compressed";
  EXPECT_EQ(Plan().warnings.size(), before - 1);
}

TEST_F(RunConfigTest, AnotherWindowThanThePolicysIsWarnedOf) {
  const PolicySpec policy = Plan().policy;
  for (RunArm& arm : config_.arms) {
    arm.cache.window_blocks = policy.window_blocks;
    arm.cache.chunk_blocks = policy.chunk_blocks;
  }
  EXPECT_TRUE(Plan().warnings.empty());
  config_.arms[0].cache.window_blocks = policy.window_blocks + 1;
  const std::vector<std::string> warnings = Plan().warnings;
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("arms[0] 'full'"), std::string::npos) << warnings[0];
}

TEST_F(RunConfigTest, ContradictoryClocks) {
  config_.arms[1].clock.constant_ms = 5;
  ExpectRefused({"arms[1] 'window'", "'constant_ms' is not read here"});
  config_.arms[1].clock = {};
  config_.arms[1].clock.control_rate_hz = 30;
  ExpectRefused({"arms[1] 'window'", "control_rate_hz"});
  config_.arms[1].clock = {};
  config_.arms[1].clock.kind = "simulated";
  config_.arms[1].clock.latency = "recorded";
  ExpectRefused({"needs 'recorded'"});
  config_.arms[1].clock.recorded = "no/such/run";
  ExpectRefused({"arms[1] 'window'", "no/such/run"});
  config_.arms[1].clock = {};
  config_.arms[1].clock.kind = "wall";
  EXPECT_TRUE(PlanRun(config_, KVLA_ASSET_ROOT).ok());
  config_.arms[1].cache.policy = "oracle";
  ExpectRefused({"arms[1] 'window'", "frozen clock"});
  config_.arms[1].cache.policy = "recompute";
  EXPECT_TRUE(PlanRun(config_, KVLA_ASSET_ROOT).ok());
  config_.arms[1].clock.kind = "simulated";
  config_.arms[1].clock.latency = "cost_model";
  ExpectRefused({"arms[1] 'window'", "whole window"});
}

TEST_F(RunConfigTest, ARecordedLatencyIsTheMedianOfThatArm) {
  const auto record = [](const std::string& arm, int64_t seed, const std::vector<double>& ms) {
    EpisodeRecord episode;
    episode.begin.id = episode.end.id = {arm, "pick_place", "short", seed};
    episode.end.outcome = "failure";
    for (const double value : ms) {
      InferenceEvent inference;
      inference.index = static_cast<int>(episode.inferences.size());
      inference.cost.latency.render_ms = 1000;  // left out
      inference.cost.latency.attend_ms = value;
      episode.inferences.push_back(inference);
    }
    return episode;
  };
  {
    Result<RunStore> store = RunStore::Create(scratch_ / "was", {{"config", "{}"}});
    ASSERT_TRUE(store.ok());
    ASSERT_TRUE(store->WriteEpisode(record("window", 0, {10, 20})).ok());
    ASSERT_TRUE(store->WriteEpisode(record("window", 1, {30, 40, 50})).ok());
    ASSERT_TRUE(store->WriteEpisode(record("full", 1, {1})).ok());
  }
  ClockConfig& clock = config_.arms[1].clock;
  clock.kind = "simulated";
  clock.latency = "recorded";
  clock.recorded = (scratch_ / "was").string();
  const RunPlan plan = Plan();
  EXPECT_TRUE(plan.recorded_ms[0].empty());
  EXPECT_EQ(plan.recorded_ms[1], (std::vector<double>{20, 30, 50}));
  const LatencyModel model(clock, plan.recorded_ms[1], {}, 8, std::nullopt);
  EXPECT_DOUBLE_EQ(model.Seconds(1, 0), 0.03);
  EXPECT_DOUBLE_EQ(model.Seconds(100, 0), 0.05);
  clock.recorded_arm = "windwo";
  ExpectRefused({"'windwo'", "did you mean 'window'?"});
}

TEST_F(RunConfigTest, TheCostModelGrowsWithWhatTheCacheHolds) {
  ClockConfig clock;
  clock.kind = "simulated";
  clock.latency = "cost_model";
  VlaCost vla;
  const LatencyModel model(clock, {}, vla, 8, std::nullopt),
      gated(clock, {}, vla, 8, BlockSchedule(16, 4));
  EXPECT_GT(model.Seconds(0, 800), model.Seconds(0, 80));
  EXPECT_EQ(model.Seconds(0, 80), model.Seconds(9, 80));
  // The gate reads a chunk when it leaves: after the blocks 19, 23, ... of a window of 16.
  for (int index = 0; index < 30; ++index) {
    const bool leaves = index >= 19 && (index - 19) % 4 == 0;
    EXPECT_DOUBLE_EQ(gated.Seconds(index, 80), InferenceSeconds(vla, 2560, leaves ? 1024 : 0))
        << index;
  }
  // Eight cached tokens are one block, of 256 tokens there.
  EXPECT_DOUBLE_EQ(model.Seconds(0, 8), InferenceSeconds(vla, 256, 0));
}

TEST_F(RunConfigTest, TheProtocolStatesTheRegimeOfACostModelClock) {
  const RunMeta facts = {
      {"workers", "1"}, {"batch", "1"}, {"pinned", "yes"}, {"cpu", "a"}, {"cpu_kernels", "b"}};
  EXPECT_EQ(MeasuringConditionsOf(Plan(), facts).dump().find("cost_model"), std::string::npos);
  config_.arms[1].clock.kind = "simulated";
  config_.arms[1].clock.latency = "cost_model";
  RunPlan plan = Plan();
  plan.max_blocks = 100;
  const std::string text = MeasuringConditionsOf(plan, facts).dump();
  // Llama 2 7B in two bytes a value; half a mebibyte of keys and values a token, 256 tokens a
  // block; a window of 16 blocks, and the chunk of 4 that leaves.
  for (const char* part :
       {"12.95 GB, read in each pass", "7 of one token", "256 tokens, 0.13 GB",
        "25600 tokens, 13.42 GB", "window: window while attending", "5120 tokens, 2.68 GB"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " is not in " << text;
  }
}

TEST_F(RunConfigTest, ShardsAreTheWholeOnceAndKeepPairs) {
  config_.tasks = {{"pick_place", {}}, {"recall_color", {"short", "long"}}};
  config_.episodes = 7;
  const RunPlan whole = Plan();
  EXPECT_EQ(whole.planned, static_cast<int>(whole.jobs.size()));
  std::multiset<std::tuple<int, std::string, std::string, int64_t>> all, parts;
  const auto key = [](const EpisodeJob& job) {
    return std::tuple(job.arm, job.task, job.delay, job.seed);
  };
  for (const EpisodeJob& job : whole.jobs) all.insert(key(job));
  for (int i = 1; i <= 3; ++i) {
    RunPlan part = whole;
    ASSERT_TRUE(TakeShard(i, 3, &part).ok());
    EXPECT_EQ(part.planned, whole.planned);
    EXPECT_GE(part.jobs.size(), size_t{2 * 3 * 2});
    std::map<std::tuple<std::string, std::string, int64_t>, int> arms;
    for (const EpisodeJob& job : part.jobs) {
      parts.insert(key(job));
      ++arms[{job.task, job.delay, job.seed}];
    }
    for (const auto& [episode, count] : arms) EXPECT_EQ(count, 2);
  }
  EXPECT_EQ(parts, all);
  RunPlan plan = whole;
  for (const auto& [i, n] : {std::pair(0, 3), {4, 3}, {1, 0}, {-1, -1}}) {
    EXPECT_EQ(TakeShard(i, n, &plan).code(), StatusCode::kBadInput);
  }
  plan.config.stop_when.rule = "difference";
  EXPECT_EQ(TakeShard(1, 2, &plan).code(), StatusCode::kBadInput);
}

TEST_F(RunConfigTest, MissingOrBrokenCheckpoint) {
  config_.checkpoint = "no/such/policy";
  ExpectRefused({"no/such/policy", "no such folder"});
  config_.checkpoint = (scratch_ / "checkpoint").string();
  ASSERT_TRUE(CheckPolicies(Plan()).ok());
  const fs::path weights = scratch_ / "checkpoint/model.safetensors";
  fs::resize_file(weights, fs::file_size(weights) - 1);
  const Result<std::string> hash = CheckPolicies(Plan());
  EXPECT_EQ(hash.status().code(), StatusCode::kBadInput);
  EXPECT_NE(hash.status().message().find("truncated"), std::string::npos);
  fs::remove(scratch_ / "checkpoint/config.yaml");
  ExpectRefused({(scratch_ / "checkpoint/config.yaml").string()});
}

TEST_F(RunConfigTest, CamerasThatTheSceneDoesNotHave) {
  const fs::path file = scratch_ / "checkpoint/config.yaml";
  PolicyConfig policy;
  ASSERT_TRUE(LoadConfigFile(file, {"cameras=[front, wirst]"}, &policy).ok());
  std::ofstream(file) << PrintConfig(policy);
  ExpectRefused({"tasks[0]", "wirst"});
}

TEST_F(RunConfigTest, JobsAndRecordsSurviveTheTripToAWorker) {
  const EpisodeJob job{1, "pick_place", "short", int64_t{1} << 40, 0.25, 300, 7};
  const EpisodeJob back = EvalJobFrom(Message::from_cbor(Message::to_cbor(EvalJobMessage(job))));
  EXPECT_EQ(back.arm, job.arm);
  EXPECT_EQ(back.task, job.task);
  EXPECT_EQ(back.delay, job.delay);
  EXPECT_EQ(back.seed, job.seed);
  EXPECT_EQ(back.weight, job.weight);
  EXPECT_EQ(back.horizon_steps, job.horizon_steps);
  EXPECT_EQ(back.max_inferences, job.max_inferences);
}

}  // namespace
}  // namespace kvla
