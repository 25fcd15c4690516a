// SPDX-License-Identifier: Apache-2.0
// kvla compare and kvla report on runs, from outside.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "results/store/run_store.h"
#include "results/video/video_rule.h"
#include "tests/apps/eval_fixture.h"
#include "tests/apps/program.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class ResultsTest : public EvalTest {};

// What a person does in the morning: eval with videos, then the page, the table and the comparison.
TEST_F(ResultsTest, FromARunToAPageAndAComparison) {
  const fs::path run = scratch_ / "run";
  std::vector<std::string> arguments = Eval("run", 2, 1);
  arguments.insert(arguments.end(), {"--set", "videos=failures"});
  const Output eval = Kvla(arguments);
  ASSERT_EQ(eval.status, 0) << eval.err;
  {
    const Result<RunStore> store = RunStore::Open(run, RunStore::Mode::kReadOnly);
    ASSERT_TRUE(store.ok());
    const Result<std::vector<EpisodeRow>> rows = store->Episodes();
    ASSERT_TRUE(rows.ok());
    for (const EpisodeRow& row : *rows) {
      EXPECT_EQ(row.video, row.success ? "" : VideoFile(row.id));
      if (!row.video.empty()) {
        EXPECT_EQ(ReadText(run / row.video).substr(4, 4), "ftyp");
      }
      const Result<EpisodeRecord> record = store->Episode(row.id);
      ASSERT_EQ(record->steps.size(), static_cast<size_t>(row.steps));
      EXPECT_TRUE(record->steps[0].state.empty());  // the trace level is summary
    }
    const auto protocol = json::parse(store->Meta()->at("protocol"), nullptr, false);
    EXPECT_EQ(protocol[0]["title"], "Tasks");
    EXPECT_GE(protocol.size(), 5u);
  }
  const Output report =
      Kvla({"report", run.string(), "--html", (scratch_ / "page").string(), "--videos", "1"});
  EXPECT_EQ(report.status, 0) << report.err;
  EXPECT_TRUE(fs::exists(scratch_ / "page" / "index.html"));
  EXPECT_GT(fs::file_size(scratch_ / "page" / "plotly.min.js"), 1000000u);

  const Output compare = Kvla({"compare", run.string(), "--json"});
  ASSERT_EQ(compare.status, 0) << compare.err;
  const json out = json::parse(compare.out, nullptr, false);
  EXPECT_EQ(out["comparisons"][0]["reference"], "full");
  const Output text = Kvla({"compare", run.string(), "--episodes"});
  EXPECT_EQ(text.status, 0);
  EXPECT_NE(text.out.find("Holm"), std::string::npos);
  const Output csv = Kvla({"report", run.string(), "--csv"});
  EXPECT_TRUE(csv.out.starts_with("arm,task,delay,episodes,errors,success"));
}

TEST(CompareBadInput, IsRefused) {
  ScratchDir scratch;
  EXPECT_EQ(Kvla({"compare"}).status, 2);
  EXPECT_EQ(Kvla({"compare", (scratch / "nothing").string()}).status, 2);
  WriteText(scratch / "run.db", "this is no database, it is a text of some length");
  const Output foreign = Kvla({"compare", scratch.path().string()});
  EXPECT_EQ(foreign.status, 2);
  EXPECT_NE(foreign.err.find("run.db"), std::string::npos);
  EXPECT_EQ(Kvla({"report", scratch.path().string(), "--html", (scratch / "page").string()}).status,
            2);
  EXPECT_FALSE(fs::exists(scratch / "page"));
}

}  // namespace
}  // namespace kvla
