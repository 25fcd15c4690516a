// SPDX-License-Identifier: Apache-2.0
#include "results/report/suite_report.h"

#include <gtest/gtest.h>

#include <cmath>

#include "results/report/report.h"

namespace kvla {
namespace {

ReportRow Cell(const std::string& arm, const std::string& task, const std::string& delay, int n,
               int right, double chance) {
  ReportRow row;
  row.arm = arm;
  row.task = task;
  row.delay = delay;
  row.episodes = n + 1;
  row.errors = 1;
  row.success = WilsonInterval(right, n);
  row.decisive_reached = n;
  row.decisive = WilsonInterval(right, n);
  row.chance = chance;
  return row;
}

TEST(SuiteReport, CellsCountEquallyHoweverManyEpisodesTheyHave) {
  const std::vector<ReportRow> rows = {
      Cell("full", "a", "short", 10, 10, 0.25), Cell("full", "a", "long", 90, 45, 0.25),
      Cell("full", "b", "short", 20, 5, 0.05), Cell("full", "c", "", 10, 0, 0),
      Cell("full", "d", "", 10, 10, 0)};
  const std::vector<SuiteRow> suite = BuildSuiteRows(rows);
  ASSERT_EQ(suite.size(), 2U);
  EXPECT_TRUE(suite[0].memory);
  EXPECT_EQ(suite[0].cells, 3);
  EXPECT_EQ(suite[0].episodes, 120) << "errors are none";
  EXPECT_NEAR(suite[0].success.value, (1 + 0.5 + 0.25) / 3, 1e-12);
  EXPECT_NEAR(suite[0].decisive.value, (1 + 0.5 + 0.25) / 3, 1e-12);
  EXPECT_NEAR(suite[0].chance, 0.55 / 3, 1e-12);
  EXPECT_LT(suite[0].success.low, 0.58);
  EXPECT_GT(suite[0].success.high, 0.59);
  EXPECT_FALSE(suite[1].memory);
  EXPECT_NEAR(suite[1].success.value, 0.5, 1e-12);
  EXPECT_TRUE(std::isnan(suite[1].decisive.value));
  EXPECT_TRUE(SuiteJson(suite)[1]["chance"].is_null());
  EXPECT_NE(FormatSuiteTable(suite, true).find("18.3"), std::string::npos);
}

TEST(SuiteReport, ArmsKeepTheirOrderAndOneCellIsNoSuite) {
  const std::vector<ReportRow> rows = {
      Cell("window", "a", "short", 8, 2, 0.25), Cell("full", "a", "short", 8, 8, 0.25),
      Cell("window", "a", "long", 8, 2, 0.25),  Cell("full", "a", "long", 8, 8, 0.25),
      Cell("window", "c", "", 8, 8, 0),         Cell("full", "c", "", 8, 8, 0)};
  const std::vector<SuiteRow> suite = BuildSuiteRows(rows);
  ASSERT_EQ(suite.size(), 2U);
  EXPECT_EQ(suite[0].arm, "window");
  EXPECT_EQ(suite[1].arm, "full");
  EXPECT_EQ(FormatSuiteTable({}, true), "");
}

// That an interval reaches down to chance is not "at chance".
TEST(SuiteReport, CountsTheCellsThatAreAboveChance) {
  const std::vector<ReportRow> rows = {
      Cell("full", "a", "short", 20, 20, 0.25), Cell("full", "a", "long", 20, 8, 0.25),
      Cell("full", "b", "short", 20, 0, 0.25), Cell("full", "b", "long", 20, 20, 0.95)};
  const std::vector<SuiteRow> suite = BuildSuiteRows(rows);
  ASSERT_EQ(suite.size(), 1U);
  EXPECT_EQ(suite[0].cells_above_chance, 1);
  EXPECT_NE(FormatSuiteTable(suite, true).find("1 of 4"), std::string::npos);
  EXPECT_EQ(SuiteJson(suite)[0]["cells_above_chance"], 1);
}

TEST(SuiteReport, CostsAreRatiosOfSumsOverTheCellsOfAKind) {
  std::vector<ReportRow> rows = {Cell("gated", "a", "short", 4, 4, 0.25),
                                 Cell("gated", "a", "long", 4, 4, 0.25),
                                 Cell("gated", "c", "", 4, 4, 0), Cell("gated", "d", "", 4, 4, 0)};
  const double live[][2] = {{10, 20}, {10, 80}, {7, 7}, {7, 7}};
  for (size_t i = 0; i < rows.size(); ++i) {
    Costs arm, full;
    arm.kv_bytes = live[i][0];
    full.kv_bytes = live[i][1];
    arm.decoder_last10_ms = full.decoder_last10_ms = 3;
    rows[i].against_full.emplace();
    for (int k = 0; k < 4; ++k) rows[i].against_full->costs.Add(arm, full);
  }
  std::vector<SuiteRow> suite = BuildSuiteRows(rows);
  ASSERT_EQ(suite.size(), 2U);
  EXPECT_DOUBLE_EQ(suite[0].ratios->kv_bytes.value, 0.2);
  EXPECT_DOUBLE_EQ(suite[0].ratios->kv_bytes_of_cells, 0.3125);
  EXPECT_DOUBLE_EQ(suite[1].ratios->kv_bytes.value, 1);
  EXPECT_EQ(SuiteJson(suite)[0]["against_full"]["kv_bytes_ratio"]["value"], 0.2);
  EXPECT_EQ(FormatSuiteTable(suite, true).find('~'), std::string::npos);
  EXPECT_NE(FormatSuiteTable(suite, false).find("~1.000"), std::string::npos);
  // Where full lacks a cell the sum would be over others.
  rows[1].against_full.reset();
  EXPECT_FALSE(BuildSuiteRows(rows)[0].ratios);
}

// A cell that never came to its decision has no rate; the mean must not be taken without it.
TEST(SuiteReport, ACellWithoutDataIsNotLeftOut) {
  std::vector<ReportRow> rows = {Cell("full", "a", "short", 8, 8, 0.25),
                                 Cell("full", "b", "short", 8, 8, 0.25)};
  rows[1].decisive_reached = 0;
  rows[1].decisive = {std::nan(""), std::nan(""), std::nan("")};
  const std::vector<SuiteRow> suite = BuildSuiteRows(rows);
  ASSERT_EQ(suite.size(), 1U);
  EXPECT_TRUE(std::isnan(suite[0].decisive.value));
  EXPECT_TRUE(SuiteJson(suite)[0]["decisive"]["rate"].is_null());
}

}  // namespace
}  // namespace kvla
