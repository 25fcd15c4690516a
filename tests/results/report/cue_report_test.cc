// SPDX-License-Identifier: Apache-2.0
#include "results/report/cue_report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/files.h"
#include "results/report/html_report.h"
#include "tests/results/record_util.h"

namespace kvla {
namespace {

class CueReportTest : public testing::Test {
 protected:
  CueReportTest()
      : store_(std::move(*RunStore::Create(scratch_.path() / "run",
                                           {{"arms", R"(["full","first_chunks"])"}}))) {}

  void Add(const EpisodeId& id, double onset_s, double wait_s, bool success, double chance = 0.25,
           const std::string& outcome = "") {
    EpisodeRecord r = MakeRecord(id, 3, success);
    r.begin.onset_s = onset_s;
    r.begin.wait_s = wait_s;
    r.begin.chance = chance;
    if (!outcome.empty()) r.end.outcome = outcome;
    EXPECT_TRUE(store_.WriteEpisode(r).ok());
  }
  // 12 episodes of each arm with onsets of 4, 5, ... 15 s and waits of 40, 39, ... s. `full` wins
  // all; a rule that keeps the first chunks wins those before 8 s.
  void Fill(const std::string& task, const std::string& delay) {
    for (int i = 0; i < 12; ++i) {
      Add({"full", task, delay, i}, 4 + i, 40 - i, true);
      Add({"first_chunks", task, delay, i}, 4 + i, 40 - i, i < 4);
    }
  }
  std::vector<CueRow> Rows(CueAxis axis = CueAxis::kOnset) {
    const Result<std::vector<CueRow>> rows = BuildCueRows(*BuildReport(store_), axis);
    EXPECT_TRUE(rows.ok()) << rows.status().message();
    return rows.ok() ? *rows : std::vector<CueRow>();
  }
  static const CueRow& Of(const std::vector<CueRow>& rows, const std::string& arm,
                          const std::string& task) {
    const auto found =
        std::ranges::find_if(rows, [&](const CueRow& r) { return r.arm == arm && r.task == task; });
    EXPECT_NE(found, rows.end()) << arm << " " << task;
    return found == rows.end() ? rows.at(0) : *found;
  }

  ScratchDir scratch_;
  RunStore store_;
};

TEST_F(CueReportTest, FindsOutWhoGoesByTheClock) {
  Fill("recall_color", "long");
  const std::vector<CueRow> rows = Rows();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].arm, "full");  // in the order of the run
  const CueRow& clock = rows[1];
  const double low[] = {4, 4 + 11 / 3.0, 4 + 22 / 3.0};
  for (size_t p = 0; p < kCueParts; ++p) {
    EXPECT_EQ(clock.parts[p].episodes, 4);
    EXPECT_NEAR(clock.parts[p].low_s, low[p], 1e-12);
    EXPECT_EQ(clock.parts[p].success.value, p == 0 ? 1 : 0);
    EXPECT_EQ(clock.parts[p].decisive.value, p == 0 ? 1 : 0);
    EXPECT_EQ(clock.parts[p].decisive_reached, 4);
    EXPECT_EQ(rows[0].parts[p].success.value, 1);
    EXPECT_NEAR(rows[0].parts[p].success.low, WilsonInterval(4, 4).low, 1e-12);
  }
  EXPECT_NEAR(clock.parts[2].high_s, 15, 1e-12);
  // By the wait it is the other way round.
  const std::vector<CueRow> waits = Rows(CueAxis::kWait);
  EXPECT_EQ(waits[1].parts[0].success.value, 0);
  EXPECT_EQ(waits[1].parts[2].success.value, 1);
  EXPECT_NEAR(waits[1].parts[0].low_s, 29, 1e-12);
}

// An episode's third does not depend on which others were run.
TEST_F(CueReportTest, ThirdsAreThoseOfWhatIsPossible) {
  Fill("recall_color", "long");
  ASSERT_TRUE(
      store_.PutMeta("cue_ranges", R"({"recall_color": {"long": {"onset": [4, 40], "wait": "x"}}})")
          .ok());
  const CueRow row = Rows()[0];
  EXPECT_EQ(row.parts[0].episodes, 12);
  EXPECT_EQ(row.parts[0].low_s, 4);
  EXPECT_EQ(row.parts[0].high_s, 16);
  EXPECT_EQ(row.parts[2].high_s, 40);
  EXPECT_TRUE(std::isnan(row.parts[1].success.value));
  EXPECT_EQ(Rows(CueAxis::kWait)[0].parts[0].episodes, 4);
  // What is there is shown, whatever the run says.
  ASSERT_TRUE(store_.PutMeta("cue_ranges", "[1").ok());
  EXPECT_EQ(Rows()[0].parts[2].episodes, 4);
}

TEST_F(CueReportTest, MemoryTasksArePooledByTheirOwnThirds) {
  Fill("recall_color", "long");
  for (int i = 0; i < 12; ++i) Add({"full", "put_back", "long", i}, 100 + i, 9, i < 4);
  Add({"full", "press_named", "long", 0}, 6, 9, true, 0);  // a control
  const std::vector<CueRow> rows = Rows();
  const CueRow& pooled = rows.front();
  EXPECT_EQ(pooled.task, "");
  EXPECT_EQ(pooled.arm, "full");
  EXPECT_EQ(pooled.tasks, 2);
  EXPECT_EQ(pooled.parts[0].episodes, 8);
  EXPECT_EQ(pooled.parts[0].success.value, 1);
  EXPECT_EQ(pooled.parts[2].success.value, 0.5);
  EXPECT_TRUE(std::isnan(pooled.parts[0].low_s));
  // An arm with one task has nothing to pool.
  EXPECT_EQ(std::ranges::count(rows, "", &CueRow::task), 1);
  EXPECT_EQ(Of(rows, "full", "press_named").parts[0].episodes, 1);

  const std::string text = FormatCueTable(rows, CueAxis::kOnset);
  EXPECT_NE(text.find("2 memory tasks, long"), std::string::npos) << text;
  EXPECT_EQ(text.find("put_back"), std::string::npos) << text;
  EXPECT_NE(text.find("8/8/8"), std::string::npos) << text;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
}

TEST_F(CueReportTest, DelaysAreInTheirOrder) {
  for (const char* task : {"recall_color", "put_back"}) {
    for (const char* delay : {"longer", "short", "long"}) Fill(task, delay);
  }
  std::vector<std::string> order;
  for (const CueRow& row : Rows()) {
    if (row.task.empty()) order.push_back(row.delay + " " + row.arm);
  }
  EXPECT_EQ(order,
            (std::vector<std::string>{"short full", "short first_chunks", "long full",
                                      "long first_chunks", "longer full", "longer first_chunks"}));
}

TEST_F(CueReportTest, ErrorsCountNowhere) {
  Fill("recall_color", "long");
  Add({"full", "recall_color", "long", 20}, 4, 40, false, 0.25, "error");
  EXPECT_EQ(Rows()[0].parts[0].episodes, 4);
}

TEST_F(CueReportTest, EveryFormSaysTheSame) {
  Fill("recall_color", "long");
  const std::vector<CueRow> rows = Rows();
  const nlohmann::json out = CueJson(rows, CueAxis::kOnset);
  EXPECT_EQ(out["by"], "onset");
  EXPECT_EQ(out["rows"][1]["arm"], "first_chunks");
  EXPECT_EQ(out["rows"][1]["task"], "recall_color");
  EXPECT_EQ(out["rows"][1]["parts"][2]["success"]["rate"], 0);
  EXPECT_EQ(out["rows"][1]["parts"][0]["episodes"], 4);
  const std::string csv = CueCsv(rows, CueAxis::kOnset);
  EXPECT_TRUE(csv.starts_with("task,tasks,delay,arm,part,onset_low_s,onset_high_s,episodes,"));
  EXPECT_NE(csv.find("recall_color,1,long,first_chunks,3,11.3333"), std::string::npos) << csv;
  EXPECT_EQ(std::ranges::count(csv, '\n'), 1 + 2 * 3);
  const std::string text = FormatCueTable(rows, CueAxis::kOnset);
  EXPECT_NE(text.find("recall_color, long (from 4.0, 7.7, 11.3 s; to 15.0 s)"), std::string::npos)
      << text;
  EXPECT_NE(text.find("100.0 [51.0, 100.0]"), std::string::npos) << text;
  const std::string svg = CueSvg(rows, CueAxis::kWait);
  EXPECT_NE(svg.find("recall_color, long, first_chunks"), std::string::npos) << svg;
  EXPECT_NE(svg.find("how long it was remembered"), std::string::npos);
}

TEST_F(CueReportTest, ARunThatDoesNotSayIsBadInput) {
  ASSERT_TRUE(store_.WriteEpisode(MakeRecord({"full", "recall_color", "long", 0})).ok());
  const Status status = BuildCueRows(*BuildReport(store_), CueAxis::kOnset).status();
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_NE(status.message().find("no episode says its onset"), std::string::npos);
  EXPECT_EQ(ParseCueAxis("clock").status().code(), StatusCode::kBadInput);
  EXPECT_EQ(*ParseCueAxis("wait"), CueAxis::kWait);
}

TEST_F(CueReportTest, ThePageHasBothPictures) {
  Fill("recall_color", "long");
  HtmlOptions options;
  options.page = KVLA_ASSET_ROOT "/results/report/html";
  options.plotly = scratch_.path() / "plotly.min.js";
  ASSERT_TRUE(WriteFileAtomic(options.plotly, "").ok());
  options.videos = 0;
  const std::filesystem::path out = scratch_.path() / "page";
  ASSERT_TRUE(WriteHtmlReport(store_, options, out).ok());
  EXPECT_EQ(*ReadFile(out / "onset.svg"), CueSvg(Rows(), CueAxis::kOnset));
  EXPECT_NE(ReadFile(out / "data.js")->find(R"("picture":"wait.svg")"), std::string::npos);
}

}  // namespace
}  // namespace kvla
