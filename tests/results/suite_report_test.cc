#include "results/suite_report.h"

#include <gtest/gtest.h>

#include <cmath>

#include "results/report.h"

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

TEST(SuiteReport, TasksCountEquallyHoweverManyDelaysAndEpisodesTheyHave) {
  const std::vector<ReportRow> rows = {
      Cell("full", "a", "short", 10, 10, 0.25), Cell("full", "a", "long", 90, 45, 0.25),
      Cell("full", "b", "short", 20, 5, 0.05), Cell("full", "c", "", 10, 0, 0),
      Cell("full", "d", "", 10, 10, 0)};
  const std::vector<SuiteRow> suite = BuildSuiteRows(rows);
  ASSERT_EQ(suite.size(), 2U);
  EXPECT_TRUE(suite[0].memory);
  EXPECT_EQ(suite[0].tasks, 2);
  EXPECT_EQ(suite[0].episodes, 120) << "errors are none";
  EXPECT_NEAR(suite[0].success.value, (0.75 + 0.25) / 2, 1e-12);
  EXPECT_NEAR(suite[0].decisive.value, 0.5, 1e-12);
  EXPECT_NEAR(suite[0].chance, 0.15, 1e-12);
  EXPECT_LT(suite[0].success.low, 0.5);
  EXPECT_GT(suite[0].success.high, 0.5);
  EXPECT_FALSE(suite[1].memory);
  EXPECT_NEAR(suite[1].success.value, 0.5, 1e-12);
  EXPECT_TRUE(std::isnan(suite[1].decisive.value));
  EXPECT_TRUE(SuiteJson(suite)[1]["chance"].is_null());
  EXPECT_NE(FormatSuiteTable(suite).find("15.0"), std::string::npos);
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
  EXPECT_EQ(FormatSuiteTable({}), "");
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
