// SPDX-License-Identifier: Apache-2.0
#include "harness/transplant/transplant.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/config_io.h"
#include "base/files.h"
#include "harness/transplant/transplant_report.h"
#include "policy/compact/policy_config.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

TransplantConfig RecallColor() {
  TransplantConfig config;
  config.checkpoint = "policy/weights/recall_color";
  config.episodes = 3;
  config.tasks = {{"recall_color", {"short"}}};
  config.arms = {{.name = "full", .cache = {}}};
  return config;
}

void ExpectRefused(const TransplantConfig& config, const std::string& why) {
  const Result<TransplantPlan> plan = PlanTransplant(config, KVLA_ASSET_ROOT);
  ASSERT_FALSE(plan.ok()) << why;
  EXPECT_EQ(plan.status().code(), StatusCode::kBadInput);
  EXPECT_NE(plan.status().message().find(why), std::string::npos) << plan.status().message();
}

TEST(Transplant, IsRefusedWhereThereIsNothingToTakeOver) {
  TransplantConfig config = RecallColor();
  config.tasks.push_back({"pick_place", {}});
  ExpectRefused(config, "'pick_place' has no twins");
  for (const std::string method : {"window", "recompute"}) {
    config = RecallColor();
    config.arms[0].cache.policy = method;
    ExpectRefused(config, "'" + method + "' holds no chunk that left the window");
  }
  // Of a recurrent policy the config is enough.
  const ScratchDir scratch;
  PolicyConfig policy;
  policy.memory = "recurrent";
  ASSERT_TRUE(WriteFileAtomic(scratch / "config.yaml", PrintConfig(policy)).ok());
  config = RecallColor();
  config.checkpoint = (scratch / "").string();
  ExpectRefused(config, "recurrent policy");
}

TransplantTrial TrialOf(int64_t seed, TransplantAnswer transplanted) {
  TransplantTrial trial{.arm = "full", .task = "recall_color", .delay = "short", .seed = seed};
  trial.taken = 2;
  trial.control_taken = 2;
  trial.alone = trial.control = TransplantAnswer::kOwn;
  trial.transplanted = transplanted;
  return trial;
}

TEST(Transplant, AStoppedRunGoesOnWithItsFile) {
  const ScratchDir scratch;
  const auto file = scratch / "trials.jsonl";
  TransplantConfig config = RecallColor();
  const Result<TransplantPlan> plan = PlanTransplant(config, KVLA_ASSET_ROOT);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  TransplantTrial left_out{.arm = "full", .task = "recall_color", .delay = "short", .seed = 2};
  left_out.skipped = "a cue was in the window";
  {
    Result<TransplantLog> log = TransplantLog::Open(file, config, "hash");
    ASSERT_TRUE(log.ok()) << log.status().message();
    EXPECT_EQ(MissingJobs(*plan, *log).size(), 3U);
    ASSERT_TRUE(log->Add(TrialOf(0, TransplantAnswer::kTwins)).ok());
    ASSERT_TRUE(log->Add(left_out).ok());
    // Another process would have to wait.
    EXPECT_FALSE(TransplantLog::Open(file, config, "hash").ok());
  }
  config.episodes = 5;  // more of the same
  {
    const Result<TransplantLog> log = TransplantLog::Open(file, config, "hash");
    ASSERT_TRUE(log.ok()) << log.status().message();
    ASSERT_EQ(log->trials().size(), 2U);
    EXPECT_EQ(log->trials()[0].transplanted, TransplantAnswer::kTwins);
    EXPECT_EQ(log->trials()[0].taken, 2);
    EXPECT_EQ(log->trials()[1].skipped, left_out.skipped);
    const std::vector<EpisodeJob> missing = MissingJobs(*plan, *log);
    ASSERT_EQ(missing.size(), 1U);
    EXPECT_EQ(missing[0].seed, 1);
  }
  const auto refused = [&](const TransplantConfig& other, const std::string& hash,
                           const std::string& why) {
    const Result<TransplantLog> log = TransplantLog::Open(file, other, hash);
    ASSERT_FALSE(log.ok());
    EXPECT_NE(log.status().message().find(why), std::string::npos) << log.status().message();
  };
  refused(config, "other", "checkpoint \"hash\"");
  config.after_chunks = 3;
  refused(config, "hash", "after_chunks is '0' in the file, '3' now");
  const Result<std::string> text = ReadFile(file);
  ASSERT_TRUE(WriteFileAtomic(file, *text + "{\"arm\": \"fu").ok());
  config.after_chunks = 0;
  refused(config, "hash", "is not what kvla transplant --out writes");
}

TEST(Transplant, RatesAreOfEpisodesThatGotChunks) {
  TransplantConfig config = RecallColor();
  config.episodes = 6;
  const Result<TransplantPlan> plan = PlanTransplant(config, KVLA_ASSET_ROOT);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  std::vector<TransplantTrial> trials = {
      TrialOf(0, TransplantAnswer::kTwins), TrialOf(1, TransplantAnswer::kTwins),
      TrialOf(2, TransplantAnswer::kOwn), TrialOf(3, TransplantAnswer::kNone),
      TrialOf(17, TransplantAnswer::kTwins)};  // not of this run
  trials.push_back({.arm = "full", .task = "recall_color", .delay = "short", .seed = 4});
  trials.back().skipped = "a cue was in the window";
  const std::vector<TransplantRow> rows = TransplantRows(*plan, trials);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].trials, 4);
  EXPECT_EQ(rows[0].chunks, 8);
  EXPECT_EQ(rows[0].skipped.at("a cue was in the window"), 1);
  const nlohmann::json json = TransplantJson(config, rows);
  const nlohmann::json& row = json.at("rows").at(0);
  EXPECT_EQ(row.at("transplanted").at("twins").at("episodes"), 2);
  EXPECT_DOUBLE_EQ(row.at("transplanted").at("twins").at("rate"), 0.5);
  EXPECT_NEAR(row.at("transplanted").at("twins").at("low"), 0.150, 5e-4);  // Wilson, 2 of 4
  EXPECT_EQ(row.at("alone").at("own").at("episodes"), 4);
  const std::string text = FormatTransplant(rows);
  EXPECT_NE(text.find("50.0 [ 15.0,  85.0]"), std::string::npos) << text;
  EXPECT_NE(text.find("1 left out: a cue was in the window"), std::string::npos) << text;
}

// The shipped policy presses the button of the twin's color once it holds the twin's chunks, and
// that of its own color without, or with other chunks of the twin's.
TEST(Transplant, TheTwinsColorIsPressed) {
  const Result<TransplantPlan> plan = PlanTransplant(RecallColor(), KVLA_ASSET_ROOT);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  Result<TransplantLog> log = TransplantLog::Open("", plan->config, "");
  ASSERT_TRUE(log.ok()) << log.status().message();
  const Status status = RunTransplant(
      *plan, MissingJobs(*plan, *log), 1, [](int, int) { return true; }, &*log);
  ASSERT_TRUE(status.ok()) << status.message();
  TransplantRow row = TransplantRows(*plan, log->trials()).front();
  ASSERT_EQ(row.trials, 3) << FormatTransplant({row});
  EXPECT_GE(row.alone[TransplantAnswer::kOwn], 2) << FormatTransplant({row});
  EXPECT_GE(row.transplanted[TransplantAnswer::kTwins], 2) << FormatTransplant({row});
  EXPECT_GE(row.control[TransplantAnswer::kOwn], 2) << FormatTransplant({row});
}

}  // namespace
}  // namespace kvla
