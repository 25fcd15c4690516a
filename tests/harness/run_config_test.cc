#include "harness/run_config.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "base/config_io.h"
#include "harness/batch.h"
#include "harness/runner.h"
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
    options.quiet = true;
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
  const EpisodeJob job{1, "pick_place", "short", int64_t{1} << 40, 0.25};
  const EpisodeJob back = EvalJobFrom(Message::from_cbor(Message::to_cbor(EvalJobMessage(job))));
  EXPECT_EQ(back.arm, job.arm);
  EXPECT_EQ(back.task, job.task);
  EXPECT_EQ(back.delay, job.delay);
  EXPECT_EQ(back.seed, job.seed);
  EXPECT_EQ(back.weight, job.weight);
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
  EXPECT_EQ(JobsTaken(scratch_ / "log"), 0);
}

}  // namespace
}  // namespace kvla
