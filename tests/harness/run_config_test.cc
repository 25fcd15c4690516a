#include "harness/run_config.h"

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
#include "harness/batch.h"
#include "harness/core_lock.h"
#include "harness/estimate.h"
#include "harness/protocol.h"
#include "harness/runner.h"
#include "results/report.h"
#include "results/run_store.h"
#include "tests/harness/test_worker.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

class RunConfigTest : public testing::Test {
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
  BatchOptions Batch(const std::string& out, const WorkerCommand& command) {
    BatchOptions options;
    options.out = scratch_ / out;
    options.command = command;
    options.checkpoint_hash = "hash";
    options.progress = ProgressStyle::kNone;
    return options;
  }

  ScratchDir scratch_;
  RunConfig config_;
};

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
  const PolicyConfig policy = Plan().policy;
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
      inference.latency.render_ms = 1000;  // left out
      inference.latency.attend_ms = value;
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
  const RunMeta facts = {{"workers", "1"}, {"pinned", "yes"}, {"cpu", "a"}, {"cpu_kernels", "b"}};
  EXPECT_EQ(ProtocolOf(Plan(), facts).dump().find("cost_model"), std::string::npos);
  config_.arms[1].clock.kind = "simulated";
  config_.arms[1].clock.latency = "cost_model";
  RunPlan plan = Plan();
  plan.max_blocks = 100;
  const std::string text = ProtocolOf(plan, facts).dump();
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

TEST_F(RunConfigTest, AnEpisodeWhoseWorkersDieIsRetriedOnceThenAnError) {
  const RunPlan plan = Plan();
  BatchOptions options = Batch("out", TestWorker("die-on-window", scratch_ / "log"));
  const Result<BatchSummary> summary = RunBatch(plan, options);
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
  const Result<BatchSummary> again = RunBatch(plan, options);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->resumed, 4);
  EXPECT_EQ(again->errors, 2);
  EXPECT_EQ(JobsTaken(scratch_ / "log"), 6);
}

TEST_F(RunConfigTest, EpisodesThatEndedInAnErrorAreRunAgainWhenAskedTo) {
  const RunPlan plan = Plan();
  ASSERT_EQ(RunBatch(plan, Batch("out", TestWorker("die-on-window")))->errors, 2);
  BatchOptions options = Batch("out", TestWorker("real", scratch_ / "log"));
  options.redo_errors = true;
  const Result<BatchSummary> again = RunBatch(plan, options);
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
  const Result<BatchSummary> finished = RunBatch(plan, options);
  ASSERT_TRUE(finished.ok());
  EXPECT_EQ(finished->resumed, 4);
  EXPECT_EQ(JobsTaken(scratch_ / "log"), 2);
}

TEST_F(RunConfigTest, OnlyAWorkerWithACoreOfItsOwnHasLatenciesThatCompare) {
  config_.episodes = 1;
  std::vector<CoreLock> others;
  const auto meta = [&](const std::string& out, int workers) {
    BatchOptions options = Batch(out, TestWorker("die"));
    options.core_group = "kvla_run_config_test_" + std::to_string(getpid());
    options.workers = workers;
    if (out == "crowded") {
      while (auto lock = CoreLock::Take(options.core_group)) others.push_back(*std::move(lock));
    }
    EXPECT_TRUE(RunBatch(Plan(), options).ok());
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

TEST_F(RunConfigTest, TheEstimateCountsWhatIsLeft) {
  config_.episodes = 1;
  const RunPlan one = Plan();
  const Result<RunEstimate> before = EstimateRun(one, Batch("out", TestWorker("real")));
  ASSERT_TRUE(before.ok()) << before.status().message();
  EXPECT_EQ(before->episodes, 2);
  EXPECT_EQ(before->control_steps, 2 * one.jobs[0].horizon_steps);
  EXPECT_GT(before->seconds, 0);
  EXPECT_FALSE(fs::exists(scratch_ / "out"));
  ASSERT_TRUE(RunBatch(one, Batch("out", TestWorker("real"))).ok());
  // The database holds what was foreseen, give or take the pages of an empty one.
  const double size = static_cast<double>(fs::file_size(scratch_ / "out/run.db"));
  EXPECT_LT(size, before->bytes + 60'000);
  const Result<RunEstimate> after = EstimateRun(one, Batch("out", TestWorker("real")));
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(after->episodes, 0);
}

TEST_F(RunConfigTest, TheMemoryOfTheWorkersIsKept) {
  config_.episodes = 1;
  const Result<BatchSummary> summary = RunBatch(Plan(), Batch("out", TestWorker("real")));
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

TEST_F(RunConfigTest, ARunStopsWhenItsRuleHolds) {
  // Every episode is an error here, so that nothing can ever be said: no stop.
  config_.episodes = 12;
  config_.arms.resize(1);
  config_.stop_when.rule = "rate_within";
  config_.stop_when.points = 49;
  config_.stop_when.min_episodes = 2;
  const Result<BatchSummary> errors = RunBatch(Plan(), Batch("errors", TestWorker("die")));
  ASSERT_TRUE(errors.ok()) << errors.status().message();
  EXPECT_TRUE(errors->stopped.empty());
  EXPECT_EQ(errors->errors, 12);

  // A random policy fails each: soon its rate is known to 49 points.
  size_t kept = 0;
  for (const int workers : {1, 2}) {
    BatchOptions options = Batch("out" + std::to_string(workers), TestWorker("real"));
    options.workers = workers;
    const Result<BatchSummary> summary = RunBatch(Plan(), options);
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
    for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i].id.seed, static_cast<int64_t>(i));
    if (workers == 1) kept = rows.size();
    EXPECT_EQ(rows.size(), kept);
    // It stays stopped.
    options.command = TestWorker("real", scratch_ / "log");
    const Result<BatchSummary> again = RunBatch(Plan(), options);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->stopped, summary->stopped);
    EXPECT_EQ(JobsTaken(scratch_ / "log"), 0);
  }
  config_.stop_when.rule = "difference";
  config_.stop_when.against = "ful";
  ExpectRefused({"stop_when", "ful"});
}

TEST_F(RunConfigTest, ARunThatGoesOnOtherwiseSaysSo) {
  const auto run = [&](int workers) {
    BatchOptions options = Batch("out", TestWorker("die"));
    options.core_group = "kvla_run_config_test_" + std::to_string(getpid());
    options.workers = workers;
    ASSERT_TRUE(RunBatch(Plan(), options).ok());
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

TEST_F(RunConfigTest, ArmsAreComparedWithThoseUnderTheSameClock) {
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
  ASSERT_TRUE(RunBatch(Plan(), Batch("out", TestWorker("die"))).ok());
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

TEST_F(RunConfigTest, AnEpisodeThatHangsIsKilledAtItsLimit) {
  config_.episodes = 1;
  config_.arms.resize(1);
  RunPlan plan = Plan();
  plan.config.episode_limit_s = 0.3;
  const Result<BatchSummary> summary =
      RunBatch(plan, Batch("out", TestWorker("hang", scratch_ / "log")));
  ASSERT_TRUE(summary.ok()) << summary.status().message();
  EXPECT_EQ(summary->errors, 1);
  EXPECT_EQ(JobsTaken(scratch_ / "log"), 2);
  const Result<RunStore> store = RunStore::Open(scratch_ / "out", RunStore::Mode::kReadOnly);
  EXPECT_NE(store->Episodes()->at(0).error.find("hung"), std::string::npos);
}

TEST_F(RunConfigTest, ARunOfOtherSettingsIsRefusedBeforeAnythingIsDone) {
  config_.episodes = 1;
  config_.arms.resize(1);
  ASSERT_TRUE(RunBatch(Plan(), Batch("out", TestWorker("die"))).ok());
  config_.seed = 5;
  const Result<BatchSummary> other =
      RunBatch(Plan(), Batch("out", TestWorker("die", scratch_ / "log")));
  EXPECT_EQ(other.status().code(), StatusCode::kBadInput);
  EXPECT_NE(other.status().message().find("seed"), std::string::npos);
  config_.seed = 0;
  BatchOptions weights = Batch("out", TestWorker("die", scratch_ / "log"));
  weights.checkpoint_hash = "another";
  EXPECT_EQ(RunBatch(Plan(), weights).status().code(), StatusCode::kBadInput);
  RunPlan part = Plan();
  ASSERT_TRUE(TakeShard(1, 2, &part).ok());
  const Status shard = RunBatch(part, Batch("out", TestWorker("die"))).status();
  EXPECT_NE(shard.message().find("shard is '1/1' in the run, '1/2' now"), std::string::npos)
      << shard.message();
  RunPlan scenes = Plan();
  scenes.assets_hash = "other scenes";
  RunPlan latencies = Plan();
  latencies.recorded_ms[0] = {20, 30};
  EXPECT_NE(
      RunBatch(latencies, Batch("out", TestWorker("die"))).status().message().find("recorded_hash"),
      std::string::npos);
  EXPECT_NE(
      RunBatch(scenes, Batch("out", TestWorker("die"))).status().message().find("assets_hash"),
      std::string::npos);
  {
    Result<RunStore> store = RunStore::Open(scratch_ / "out", RunStore::Mode::kReadWrite);
    ASSERT_TRUE(store->PutMeta("commit", "0123abc").ok());
  }
  const Status program = RunBatch(Plan(), Batch("out", TestWorker("die"))).status();
  EXPECT_NE(program.message().find("commit is '0123abc' in the run"), std::string::npos)
      << program.message();
  EXPECT_EQ(JobsTaken(scratch_ / "log"), 0);
}

}  // namespace
}  // namespace kvla
