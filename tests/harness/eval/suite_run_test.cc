// SPDX-License-Identifier: Apache-2.0
// The options of a suite, from a run's config to its records.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "harness/episode/episode_states.h"
#include "harness/episode/suite_options.h"
#include "harness/eval/cue_ranges.h"
#include "harness/eval/merge.h"
#include "results/report/cue_report.h"
#include "results/store/run_store.h"
#include "tasks/task_list.h"
#include "tests/harness/run_fixture.h"

namespace kvla {
namespace {

class SuiteRunTest : public RunFixture {
 protected:
  void SetUp() override {
    RunFixture::SetUp();
    config_.tasks = {{"recall_color", {"long"}}};
    config_.arms.resize(1);
    config_.episodes = 12;
  }
  // Its episodes end at once, as errors.
  Status Run(const std::string& out) {
    return RunEvaluation(Plan(), Batch(out, TestWorker("die"))).status();
  }
  RunStore Open(const std::string& out) {
    return std::move(*RunStore::Open(scratch_ / out, RunStore::Mode::kReadOnly));
  }
};

TEST_F(SuiteRunTest, CuesAnywhereGiveOtherSchedulesAndTheRecordSaysWhen) {
  ASSERT_TRUE(Run("early").ok());
  config_.suite.cues = "anywhere";
  config_.suite.decoys = true;
  ASSERT_TRUE(Run("anywhere").ok());
  const auto task = *MakeTask("recall_color", KVLA_ASSET_ROOT, config_.suite);
  std::set<double> late;
  const RunStore early = Open("early"), anywhere = Open("anywhere");
  const std::vector<EpisodeRow> rows = *anywhere.Episodes();
  ASSERT_EQ(rows.size(), 12u);
  for (const EpisodeRow& row : rows) {
    const EpisodeBegin was = early.Episode(row.id)->begin;
    const EpisodeBegin now = anywhere.Episode(row.id)->begin;
    EXPECT_EQ(was.suite.at("cues"), "early");
    EXPECT_EQ(now.suite.at("cues"), "anywhere");
    EXPECT_EQ(now.suite.at("decoys"), "true");
    EXPECT_LE(*was.onset_s, 8);
    EXPECT_TRUE(was.decoys.empty());
    EXPECT_FALSE(now.twin);
    const Scenario drawn = *task->Draw(*KeyOf(now));
    EXPECT_EQ(*now.onset_s, drawn.OnsetSeconds());
    EXPECT_EQ(*now.wait_s, drawn.WaitSeconds());
    EXPECT_EQ(row.onset_s, now.onset_s);
    EXPECT_EQ(row.wait_s, now.wait_s);
    ASSERT_EQ(now.decoys.size(), drawn.decoys.size());
    ASSERT_FALSE(drawn.decoys.empty());
    EXPECT_DOUBLE_EQ(now.decoys[0].begin_s, drawn.decoys[0].begin * kControlPeriod);
    EXPECT_EQ(now.decoys[0].what, drawn.decoys[0].what);
    late.insert(*now.onset_s);
  }
  EXPECT_GT(*late.rbegin(), 10) << "no cue came later than a clock would expect";
  EXPECT_NE(anywhere.Meta()->at("protocol").find("cues anywhere, decoys true, layout seen"),
            std::string::npos);
  // What is possible is known with the run, whatever its seeds.
  const nlohmann::json range =
      nlohmann::json::parse(anywhere.Meta()->at("cue_ranges"))["recall_color"]["long"]["onset"];
  EXPECT_LE(range[0].get<double>(), *late.begin() + 1);
  EXPECT_GT(range[1].get<double>(), 40);
}

TEST_F(SuiteRunTest, AnotherSuiteIsAnotherRun) {
  config_.episodes = 1;
  ASSERT_TRUE(Run("a").ok());
  ASSERT_TRUE(Run("a").ok());
  config_.suite.cues = "anywhere";
  const Status resumed = Run("a");
  EXPECT_EQ(resumed.code(), StatusCode::kBadInput);
  EXPECT_NE(resumed.message().find("suite.cues is 'early' in the run, 'anywhere' now"),
            std::string::npos)
      << resumed.message();
  ASSERT_TRUE(Run("b").ok());
  const Status merged = MergeRuns(scratch_ / "out", {scratch_ / "a", scratch_ / "b"}).status();
  EXPECT_EQ(merged.code(), StatusCode::kBadInput);
  EXPECT_NE(merged.message().find("suite.cues"), std::string::npos) << merged.message();
}

TEST_F(SuiteRunTest, ATaskHasItsDelaysUnderItsOptions) {
  config_.tasks = {{"recall_color", {"longer"}}};
  ExpectRefused({"recall_color", "longer"});
  config_.suite.cues = "anywhere";
  EXPECT_EQ(Plan().jobs.front().delay, "longer");
}

// An episode that a policy acted is simulated again in the task that it was of.
TEST_F(SuiteRunTest, ARecordLeadsBackToItsTask) {
  config_.tasks = {{"recall_color", {"short"}}};
  config_.episodes = 1;
  config_.suite = {.cues = "anywhere", .decoys = true, .layout = "seen"};
  ASSERT_TRUE(RunEvaluation(Plan(), Batch("out", TestWorker("real"))).ok());
  const RunStore store = Open("out");
  const EpisodeRecord record = *store.Episode({"full", "recall_color", "short", 0});
  ASSERT_NE(record.end.outcome, "error") << record.end.error;
  const auto task = *MakeTaskOf(record.begin, KVLA_ASSET_ROOT);
  EXPECT_EQ(task->options(), config_.suite);
  const auto world = *World::Load(task->scene());
  const auto states = EpisodeStates::Make(record, *task, world.get());
  ASSERT_TRUE(states.ok()) << states.status().message();
  EXPECT_TRUE((*states)->simulated());
  EXPECT_TRUE(BuildCueRows(*BuildReport(store), CueAxis::kWait).ok());
}

TEST_F(SuiteRunTest, ATaskWithoutACueHasNoRange) {
  config_.tasks = {{"pick_place", {"short"}}, {"recall_color", {"short"}}};
  const nlohmann::json ranges = CueRanges(Plan());
  EXPECT_FALSE(ranges.contains("pick_place"));
  const nlohmann::json& onset = ranges["recall_color"]["short"]["onset"];
  EXPECT_GE(onset[0], 4);
  EXPECT_LE(onset[1], 8);
}

}  // namespace
}  // namespace kvla
