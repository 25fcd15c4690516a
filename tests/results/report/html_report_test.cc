// SPDX-License-Identifier: Apache-2.0
#include "results/report/html_report.h"

#include <gtest/gtest.h>

#include <sstream>

#include "base/files.h"
#include "results/video/video_rule.h"
#include "tests/results/record_util.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class HtmlReportTest : public testing::Test {
 protected:
  HtmlReportTest()
      : out_(scratch_.path() / "page"),
        store_(std::move(*RunStore::Create(
            scratch_.path() / "run",
            {{"arms", R"(["full","gated"])"},
             {"config", "name: a \"study\"\n"},
             {"protocol", R"([{"title": "Tasks", "items": [["rule", "final"]]}])"}}))) {
    options_.page = KVLA_ASSET_ROOT "/results/report/html";
    options_.plotly = scratch_.path() / "plotly.min.js";
    options_.reasons = {"a", "b", "c", "</script>"};
    EXPECT_TRUE(WriteFileAtomic(options_.plotly, "window.Plotly = {};").ok());
    for (int i = 0; i < 10; ++i) {
      Write(MakeRecord({"full", "recall_color", "long", i}, 20, true));
      Write(MakeRecord({"gated", "recall_color", "long", i}, 20, i != 4 && i != 7));
    }
  }

  void Write(const EpisodeRecord& record) {
    const Status status = store_.WriteEpisode(record);
    EXPECT_TRUE(status.ok()) << status.message();
  }
  HtmlSummary Make() {
    const Result<HtmlSummary> summary = WriteHtmlReport(store_, options_, out_);
    EXPECT_TRUE(summary.ok()) << summary.status().message();
    return summary.ok() ? *summary : HtmlSummary();
  }
  json Data() {
    std::string text = *ReadFile(out_ / "data.js");
    const std::string begin = "window.KVLA = ";
    EXPECT_TRUE(text.starts_with(begin));
    EXPECT_TRUE(text.ends_with(";\n"));
    return json::parse(text.substr(begin.size(), text.size() - begin.size() - 2), nullptr, false);
  }

  ScratchDir scratch_;
  fs::path out_;
  RunStore store_;
  HtmlOptions options_;
};

TEST_F(HtmlReportTest, HoldsEverythingThatThePageShows) {
  int filmed = 0;
  options_.film = [&filmed](const EpisodeRecord& record) -> Result<std::string> {
    ++filmed;
    if (record.begin.id.arm == "gated" && record.begin.id.seed == 7) return BadInput("no actions");
    return "a film of " + ToString(record.begin.id);
  };
  // One that the run has filmed itself.
  const EpisodeId own{"full", "recall_color", "long", 4};
  fs::create_directories(store_.folder() / kVideoFolder);
  ASSERT_TRUE(WriteFileAtomic(store_.folder() / VideoFile(own), "the run's own").ok());
  ASSERT_TRUE(store_.SetVideo(own, VideoFile(own)).ok());

  const HtmlSummary summary = Make();
  EXPECT_EQ(summary.timelines, 10);
  EXPECT_EQ(summary.videos, 3);
  EXPECT_EQ(filmed, 3);
  ASSERT_EQ(summary.problems.size(), 1u);
  EXPECT_EQ(summary.problems[0], "gated recall_color/long seed 7: no actions");
  for (const char* file : {"index.html", "report.css", "report.js", "plotly.min.js", "table.csv",
                           "episodes.csv", "data.js"}) {
    EXPECT_TRUE(fs::exists(out_ / file)) << file;
  }
  EXPECT_EQ(*ReadFile(out_ / VideoFile(own)), "the run's own");

  const json data = Data();
  EXPECT_EQ(data["rows"].size(), 2u);
  EXPECT_EQ(data["latency"]["comparable"], false);
  EXPECT_EQ(data["rows"][0]["kv_bytes"]["committed_peak"], 65536);
  EXPECT_EQ(data["meta"]["protocol"][0]["items"][0][1], "final");
  EXPECT_EQ(data["meta"]["config"], "name: a \"study\"\n");
  EXPECT_EQ(data["comparison"]["comparisons"][0]["cells"][0]["only_reference"], 2);
  EXPECT_EQ(data["comparison"]["comparisons"][0]["episodes"].size(), 2u);
  EXPECT_EQ(data["timelines"][0]["seed"], 4);  // disagreements first
  EXPECT_EQ(data["timelines"][1]["seed"], 7);
  EXPECT_EQ(data["timelines"][0]["arms"][0]["changes"][0], json({1, 0, 2, 0.75, 3}));
  EXPECT_EQ(data["timelines"][0]["arms"][0]["cues"][0], json({85.0, 95.0}));
  EXPECT_EQ(data["timelines"][0]["arms"][0]["stages"][0]["step"], 13);
  ASSERT_EQ(data["videos"].size(), 2u);
  EXPECT_EQ(data["videos"][0]["arms"][0]["file"], VideoFile(own));
  EXPECT_EQ(data["videos"][1]["arms"][1]["file"], "");
  ASSERT_EQ(data["curves"].size(), 2u);
  EXPECT_EQ(data["curves"][0]["step"].size(), 20u);
  EXPECT_EQ(data["curves"][0]["bytes"][2], 3 * 4096);
  EXPECT_EQ(data["details"][0]["stages"][0]["p50_s"], 13 / 20.0);
}

// Whoever made the run chose the name: the page may be published.
TEST_F(HtmlReportTest, AFileOutsideOfTheRunIsNotCopied) {
  ASSERT_TRUE(WriteFileAtomic(scratch_.path() / "private.txt", "a private note").ok());
  const EpisodeId id{"full", "recall_color", "long", 4};
  for (const std::string& name :
       {std::string("../private.txt"), (scratch_.path() / "private.txt").string()}) {
    ASSERT_TRUE(store_.SetVideo(id, name).ok());
    const HtmlSummary summary = Make();
    EXPECT_FALSE(fs::exists(out_ / VideoFile(id)));
    ASSERT_FALSE(summary.problems.empty());
    EXPECT_NE(summary.problems[0].find("outside of its folder videos"), std::string::npos)
        << summary.problems[0];
  }
}

TEST_F(HtmlReportTest, AFilterHoldsForTablesCurvesTimelinesAndComparison) {
  Write(MakeRecord({"full", "match_sample", "short", 0}, 20, true));
  Write(MakeRecord({"gated", "match_sample", "short", 0}, 20, false));
  Write(MakeRecord({"window", "recall_color", "long", 4}, 20, false));
  options_.filter.tasks = {"recall_color"};
  options_.filter.arms = {"full", "gated"};
  Make();
  json data = Data();
  data.erase("meta");
  for (const char* part : {"rows", "details", "curves", "timelines", "comparison"}) {
    EXPECT_FALSE(data[part].empty()) << part;
  }
  for (const char* name : {"match_sample", "\"window\""}) {
    EXPECT_EQ(data.dump().find(name), std::string::npos) << name;
    EXPECT_EQ(ReadFile(out_ / "episodes.csv")->find(name), std::string::npos);
  }
}

// An error is no lost episode, and so no disagreement to look at.
TEST_F(HtmlReportTest, AnErrorIsNoDisagreement) {
  Write(MakeRecord({"full", "recall_color", "long", 20}, 20, true));
  EpisodeRecord error = MakeRecord({"gated", "recall_color", "long", 20}, 20, false);
  error.end.outcome = "error";
  Write(error);
  options_.film = [](const EpisodeRecord&) -> Result<std::string> { return std::string("film"); };
  Make();
  const json data = Data();
  ASSERT_EQ(data["videos"].size(), 2u);
  EXPECT_EQ(data["videos"][0]["seed"], 4);
  EXPECT_EQ(data["videos"][1]["seed"], 7);
}

// Nothing on the page may come from elsewhere.
TEST_F(HtmlReportTest, ThePageNeedsNoNetwork) {
  Make();
  for (const char* file : {"index.html", "report.css", "report.js", "data.js"}) {
    const std::string text = *ReadFile(out_ / file);
    for (const char* word : {"http:", "https:", "//cdn", "import(", "fetch("}) {
      EXPECT_EQ(text.find(word), std::string::npos) << file << ": " << word;
    }
  }
}

TEST_F(HtmlReportTest, ReplacesAnEarlierReportAndNothingElse) {
  Make();
  Make();
  fs::create_directories(scratch_.path() / "mine");
  ASSERT_TRUE(WriteFileAtomic(scratch_.path() / "mine" / "thesis.txt", "x").ok());
  const Status status = WriteHtmlReport(store_, options_, scratch_.path() / "mine").status();
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_NE(status.message().find("holds other things"), std::string::npos);
  EXPECT_EQ(
      WriteHtmlReport(store_, options_, scratch_.path() / "mine" / "thesis.txt").status().code(),
      StatusCode::kBadInput);
  options_.plotly = scratch_.path() / "absent.js";
  EXPECT_NE(WriteHtmlReport(store_, options_, out_).status().message().find("scripts/setup.sh"),
            std::string::npos);
}

TEST_F(HtmlReportTest, WithoutEpisodesThereIsAPageToo) {
  store_ = std::move(*RunStore::Create(scratch_.path() / "empty", {}));
  Make();
  EXPECT_EQ(Data()["rows"].size(), 0u);
  EXPECT_NE(Data()["comparison"]["why_not"].get<std::string>().find("nothing to compare"),
            std::string::npos);
}

TEST_F(HtmlReportTest, CsvHasAsManyFieldsInEveryLine) {
  EpisodeRecord odd = MakeRecord({"a,\"b\"\n", "recall_color", "long", 1}, 3, false);
  odd.end.outcome = "error";
  odd.end.error = "line 1\nline \"2\", and more";
  Write(odd);
  const Result<Report> report = BuildReport(store_);
  ASSERT_TRUE(report.ok());
  for (const bool episodes : {false, true}) {
    const std::string csv = ReportCsv(*report, episodes);
    std::vector<std::vector<std::string>> lines(1, {""});
    bool quoted = false;
    for (size_t i = 0; i < csv.size(); ++i) {
      const char c = csv[i];
      if (c == '"' && quoted && csv[i + 1] == '"') {
        lines.back().back() += csv[++i];
      } else if (c == '"') {
        quoted = !quoted;
      } else if (c == ',' && !quoted) {
        lines.back().emplace_back();
      } else if (c == '\r' && !quoted) {
        lines.push_back({""});
        ++i;
      } else {
        lines.back().back() += c;
      }
    }
    lines.pop_back();
    EXPECT_EQ(lines.size(), episodes ? 22u : 4u);
    for (const auto& line : lines) EXPECT_EQ(line.size(), lines[0].size()) << line[0];
    bool found = false;
    for (const auto& line : lines) found = found || line[0] == "a,\"b\"\n";
    EXPECT_TRUE(found);
    if (episodes) {
      EXPECT_NE(csv.find("\"line 1\nline \"\"2\"\", and more\""), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace kvla
