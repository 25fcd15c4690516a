// SPDX-License-Identifier: Apache-2.0
#include "results/report/report_filter.h"

#include <gtest/gtest.h>

#include <sstream>

#include "results/report/compare.h"
#include "results/report/report.h"
#include "tests/results/record_util.h"

namespace kvla {
namespace {

class ReportFilterTest : public testing::Test {
 protected:
  ReportFilterTest() : store_(std::move(*RunStore::Create(scratch_.path() / "run", {}))) {
    for (const char* arm : {"full", "gated"}) {
      for (const char* task : {"recall_color", "match_sample"}) {
        for (const char* delay : {"short", "long"}) {
          EXPECT_TRUE(store_.WriteEpisode(MakeRecord({arm, task, delay, 0})).ok());
        }
      }
    }
  }

  std::vector<std::string> Ids(const ReportFilter& filter) {
    std::vector<EpisodeRow> rows = *store_.Episodes();
    const Status status = ApplyFilter(filter, &rows);
    if (!status.ok()) return {status.message()};
    std::vector<std::string> ids;
    for (const EpisodeRow& row : rows) ids.push_back(ToString(row.id));
    return ids;
  }

  ScratchDir scratch_;
  RunStore store_;
};

TEST_F(ReportFilterTest, EpisodesOfEveryListThatIsGivenAreKept) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(Ids({}).size(), 8u);
  EXPECT_EQ(Ids({.tasks = {"recall_color"}, .arms = {"gated"}, .delays = {}}),
            (Names{"gated recall_color/long seed 0", "gated recall_color/short seed 0"}));
  EXPECT_EQ(Ids({.tasks = {"recall_color"}, .arms = {"gated"}, .delays = {"short"}}),
            (Names{"gated recall_color/short seed 0"}));
  EXPECT_EQ(Ids({.tasks = {"recall_color", "match_sample"}, .arms = {}, .delays = {"long"}}).size(),
            4u);
}

TEST_F(ReportFilterTest, AnUnknownNameIsRefusedWithTheNearest) {
  EXPECT_EQ(Ids({.tasks = {"recal_color"}, .arms = {}, .delays = {}}).at(0),
            "--task recal_color: the run has no episode of it, only of match_sample, "
            "recall_color; did you mean 'recall_color'?");
  EXPECT_NE(Ids({.tasks = {}, .arms = {"gate"}, .delays = {}}).at(0).find("did you mean 'gated'?"),
            std::string::npos);
  EXPECT_NE(Ids({.tasks = {}, .arms = {}, .delays = {"shirt"}}).at(0).find("'short'"),
            std::string::npos);
}

TEST_F(ReportFilterTest, WhatIsThereButNotTogetherIsRefused) {
  ASSERT_TRUE(store_.WriteEpisode(MakeRecord({"window", "recall_color", "medium", 0})).ok());
  EXPECT_EQ(Ids({.tasks = {}, .arms = {"gated"}, .delays = {"medium"}}).at(0),
            "the run has no episode of this task, arm and delay together");
}

TEST_F(ReportFilterTest, TextJsonCsvAndComparisonHoldTheSameEpisodes) {
  const ReportFilter filter{.tasks = {"recall_color"}, .arms = {}, .delays = {"long"}};
  const Result<Report> report = BuildReport(store_, filter);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(report->rows.size(), 2u);
  EXPECT_EQ(ReportJson(*report, true)["episodes"].size(), 2u);
  const std::string text = FormatTable(*report) + FormatEpisodes(*report) +
                           ReportCsv(*report, false) + ReportCsv(*report, true);
  EXPECT_NE(text.find("recall_color"), std::string::npos);
  EXPECT_EQ(text.find("match_sample"), std::string::npos) << text;
  EXPECT_EQ(text.find("short"), std::string::npos) << text;

  std::vector<RunStore> runs;
  runs.push_back(std::move(*RunStore::Open(store_.folder(), RunStore::Mode::kReadOnly)));
  CompareOptions options;
  options.filter = filter;
  const Result<Comparison> comparison = CompareRuns(runs, options);
  ASSERT_TRUE(comparison.ok()) << comparison.status().message();
  const std::string json = ComparisonJson(*comparison).dump();
  EXPECT_EQ(json.find("match_sample"), std::string::npos) << json;
  EXPECT_EQ(json.find("short"), std::string::npos) << json;
}

}  // namespace
}  // namespace kvla
