// SPDX-License-Identifier: Apache-2.0
// Stale actions, missed deadlines and what latency cost, from a run's records.
#include "results/report/clock_report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "results/report/report.h"
#include "tests/results/record_util.h"

namespace kvla {
namespace {

EpisodeRecord Record(const std::string& arm, int64_t seed, bool success, int stale, bool late) {
  EpisodeRecord record;
  record.begin.id = record.end.id = {arm, "task", "short", seed};
  record.end.outcome = success ? "success" : "failure";
  record.end.success = success;
  record.end.steps = 40;
  for (int i = 0; i < 5; ++i) {
    InferenceEvent inference;
    inference.index = i;
    inference.control_step = 8 * i;
    inference.think_s = 0.01 * (i + 1);
    inference.stale_steps = stale;
    inference.late = late && i < 2;
    record.inferences.push_back(inference);
  }
  return record;
}

class ClockReportTest : public testing::Test {
 protected:
  Report Build(const std::string& twins, const std::string& clocked = "") {
    Result<RunStore> store = RunStore::Create(scratch_.path() / "run",
                                              {{"frozen_twins", twins}, {"clocked_arms", clocked}});
    EXPECT_TRUE(store.ok());
    // Of ten pairs latency loses four and wins one.
    for (int64_t seed = 0; seed < 10; ++seed) {
      EXPECT_TRUE(store->WriteEpisode(Record("full", seed, seed < 7, 0, false)).ok());
      const bool success = (seed < 3 || seed == 9);
      EXPECT_TRUE(store->WriteEpisode(Record("full-20", seed, success, 3, true)).ok());
    }
    EpisodeRecord error = Record("full-20", 99, false, 100, true);
    error.end.outcome = "error";
    EXPECT_TRUE(store->WriteEpisode(error).ok());
    const Result<Report> report = BuildReport(*store);
    EXPECT_TRUE(report.ok()) << report.status().message();
    return *report;
  }
  ScratchDir scratch_;
};

TEST_F(ClockReportTest, WhatLatencyCostsIsToldOfTheArmsThatHaveIt) {
  const Report report = Build(R"({"full-20": "full"})");
  ASSERT_EQ(report.clock.size(), 1u);
  const ClockRow& row = report.clock[0];
  EXPECT_EQ(row.arm, "full-20");
  EXPECT_EQ(row.episodes, 10) << "errors count nowhere";
  EXPECT_NEAR(row.think_ms_p50, 30, 1e-4);
  EXPECT_DOUBLE_EQ(row.stale_steps, 15);
  EXPECT_DOUBLE_EQ(row.stale_share, 15.0 / 40);
  EXPECT_DOUBLE_EQ(row.missed_deadlines, 0.4);
  EXPECT_EQ(row.twin, "full");
  EXPECT_EQ(row.pairs, 10);
  EXPECT_NEAR(row.lost_points.value, 30, 1e-9);
  EXPECT_LT(row.lost_points.low, 30);
  EXPECT_GT(row.lost_points.high, 30);
  const std::string table = FormatTable(report);
  EXPECT_NE(table.find("+30.0 ["), std::string::npos) << table;
  const nlohmann::json json = ReportJson(report, false);
  EXPECT_EQ(json.at("clock")[0].at("stale_steps"), 15);
}

// The question of a latency study: which episodes does a cache win that the full one loses at the
// same speed?
TEST_F(ClockReportTest, ArmsMeetTheFullCacheUnderTheirClock) {
  const Report report =
      Build("{}", R"({"full-20": {"control_rate_hz": 40, "twin": "", "full": "full"},
                                        "odd": 3, "full": {"control_rate_hz": "?"}})");
  ASSERT_EQ(report.clock.size(), 2u);
  EXPECT_TRUE(report.clock[0].full.empty());
  EXPECT_TRUE(std::isnan(report.clock[0].control_rate_hz));
  const ClockRow& row = report.clock[1];
  EXPECT_EQ(row.control_rate_hz, 40);
  EXPECT_EQ(row.twin, "");
  EXPECT_EQ(row.full, "full");
  EXPECT_EQ(row.against_full.n, 10);
  EXPECT_EQ(row.against_full.only_a, 1);
  EXPECT_EQ(row.against_full.only_b, 4);
  EXPECT_NEAR(row.gain_points.value, -30, 1e-9);
  EXPECT_NEAR(row.mcnemar_p, 0.375, 1e-9);
  EXPECT_NEAR(row.success.value, 0.4, 1e-9);
  const std::string table = FormatTable(report);
  EXPECT_NE(table.find("Against the full cache under the same clock"), std::string::npos) << table;
  EXPECT_NE(table.find("-30.0 ["), std::string::npos) << table;
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
  const nlohmann::json json = ReportJson(report, false).at("clock");
  EXPECT_TRUE(json[0].at("same_clock_full").is_null());
  EXPECT_EQ(json[1].at("same_clock_full").at("only_full"), 4);
}

TEST_F(ClockReportTest, PairsAreTakenBySeed) {
  RunStore store = std::move(
      *RunStore::Create(scratch_.path() / "shifted", {{"frozen_twins", R"({"full-20": "full"})"}}));
  for (int64_t seed = 0; seed < 10; ++seed) {
    ASSERT_TRUE(store.WriteEpisode(Record("full", seed, seed % 2 == 0, 0, false)).ok());
    if (seed == 0) continue;
    ASSERT_TRUE(store.WriteEpisode(Record("full-20", seed, seed % 2 == 0, 3, true)).ok());
  }
  const ClockRow row = BuildReport(store)->clock.at(0);
  EXPECT_EQ(row.pairs, 9);
  EXPECT_EQ(row.lost_points.value, 0);
  EXPECT_NEAR(row.lost_points.high, 100 * TangoInterval({9, 0, 0}).high, 1e-9);
}

TEST_F(ClockReportTest, WithoutATwinNothingIsSaidOfLoss) {
  const Report report = Build(R"({"full-20": null})");
  ASSERT_EQ(report.clock.size(), 1u);
  EXPECT_EQ(report.clock[0].pairs, 0);
  EXPECT_TRUE(std::isnan(report.clock[0].lost_points.value));
  EXPECT_TRUE(ReportJson(report, false).at("clock")[0].at("lost_points").at("value").is_null());
}

TEST_F(ClockReportTest, FrozenRunsHaveNoSuchSection) {
  const Report report = Build("{}");
  EXPECT_TRUE(report.clock.empty());
  EXPECT_EQ(FormatTable(report).find("Clocks that do not wait"), std::string::npos);
  EXPECT_FALSE(ReportJson(report, false).contains("clock"));
}

}  // namespace
}  // namespace kvla
