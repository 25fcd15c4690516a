// SPDX-License-Identifier: Apache-2.0
#include "results/report/budget_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/results/record_util.h"

namespace kvla {
namespace {

class BudgetReportTest : public testing::Test {
 protected:
  BudgetReportTest() : run_(std::move(*RunStore::Create(scratch_.path() / "run", {}))) {
    grid_ = {.setting = "budget_tokens",
             .reference = "full",
             .arms = {{"h64", 64}, {"h32", 32}, {"h16", 16}},
             .episodes = 40};
  }

  void Write(const EpisodeId& id, bool success, double chance = 0.25, int64_t bytes = 1024) {
    EpisodeRecord record = MakeRecord(id, 3, success);
    record.begin.chance = chance;
    for (InferenceEvent& e : record.inferences) e.cost.kv_live_bytes = bytes;
    const Status status = run_.WriteEpisode(record);
    EXPECT_TRUE(status.ok()) << status.message();
  }
  // 40 pairs: full wins all; h32 loses 4 of them, the others none.
  void Fill() {
    for (int seed = 0; seed < 40; ++seed) {
      Write({"full", "recall_color", "short", seed}, true, 0.25, 8192);
      Write({"h64", "recall_color", "short", seed}, true, 0.25, 4096);
      Write({"h32", "recall_color", "short", seed}, seed % 10 != 3, 0.25, 2048);
      Write({"h16", "recall_color", "short", seed}, true, 0.25, 1024);
    }
  }
  BudgetReport Build(double loss_points = 10) {
    Result<BudgetReport> report = BuildBudgetReport(run_, grid_, loss_points, 0.05);
    EXPECT_TRUE(report.ok()) << report.status().message();
    return report.ok() ? *std::move(report) : BudgetReport();
  }

  ScratchDir scratch_;
  RunStore run_;
  BudgetGrid grid_;
};

TEST_F(BudgetReportTest, SaysOfEachBudgetWhatIsKnown) {
  Fill();
  const BudgetReport report = Build();
  ASSERT_EQ(report.rows.size(), 3u);
  EXPECT_EQ(report.rows[0].pairs.n, 40);
  EXPECT_EQ(report.rows[0].pairs.only_b, 0);
  EXPECT_EQ(report.rows[1].pairs.only_a, 0);
  EXPECT_EQ(report.rows[1].pairs.only_b, 4);
  EXPECT_GT(report.rows[1].test.more, 0);
  EXPECT_EQ(report.rows[0].test.verdict, BudgetVerdict::kCertified);
  EXPECT_EQ(report.rows[1].test.verdict, BudgetVerdict::kCannotTell);
  EXPECT_EQ(report.rows[2].test.verdict, BudgetVerdict::kNotTested);
  EXPECT_EQ(report.smallest, 0);
  EXPECT_EQ(report.rows[0].kv_bytes, 4096);
  EXPECT_NEAR(report.rows[1].kv_ratio.value, 0.25, 1e-9);
  EXPECT_TRUE(report.memory);
  EXPECT_EQ(report.cells, 1);

  const std::string text = FormatBudgetReport(report);
  EXPECT_NE(text.find("the smallest certified budget is that of h64 (budget_tokens 64)"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("not tested"), std::string::npos);
  const nlohmann::json json = BudgetReportJson(report);
  EXPECT_EQ(json["smallest"], "h64");
  EXPECT_EQ(json["rows"][0]["verdict"], "certified");
  EXPECT_EQ(json["rows"][1]["more_pairs"], report.rows[1].test.more);
  EXPECT_EQ(json["rows"][2]["verdict"], "not_tested");
  EXPECT_TRUE(json["rows"][2]["p"].is_null());
}

TEST_F(BudgetReportTest, NoBudgetMayBeGoodEnough) {
  Fill();
  const BudgetReport report = Build(1);
  EXPECT_EQ(report.smallest, -1);
  EXPECT_NE(FormatBudgetReport(report).find("no budget is certified"), std::string::npos);
  EXPECT_TRUE(BudgetReportJson(report)["smallest"].is_null());
}

TEST_F(BudgetReportTest, ControlsDoNotDiluteALoss) {
  Fill();
  for (int seed = 0; seed < 40; ++seed) {
    for (const char* arm : {"full", "h64", "h32", "h16"}) {
      Write({arm, "pick_place", "short", seed}, true, 0);
    }
  }
  const BudgetReport report = Build();
  EXPECT_EQ(report.rows[0].pairs.n, 40);
  EXPECT_EQ(report.cells, 1);
  ASSERT_EQ(report.notes.size(), 1u);
  EXPECT_TRUE(report.notes[0].starts_with("h32: ")) << report.notes[0];
}

TEST_F(BudgetReportTest, WhereNothingNeedsMemoryAllCellsCount) {
  for (int seed = 0; seed < 5; ++seed) {
    for (const char* arm : {"full", "h64", "h32", "h16"}) {
      Write({arm, "pick_place", "short", seed}, true, 0);
      Write({arm, "pick_place", "long", seed}, true, 0);
    }
  }
  const BudgetReport report = Build();
  EXPECT_FALSE(report.memory);
  EXPECT_EQ(report.cells, 2);
  EXPECT_EQ(report.rows[0].pairs.n, 10);
}

TEST_F(BudgetReportTest, ErrorsAndWhatIsMissingAreSaid) {
  grid_.arms = {{"h64", 64}};
  for (int seed = 0; seed < 10; ++seed) {
    Write({"full", "recall_color", "short", seed}, true);
    if (seed == 4) continue;
    EpisodeRecord record = MakeRecord({"h64", "recall_color", "short", seed}, 3, true);
    if (seed == 6) {
      record.end.outcome = "error";
      record.end.success = false;
    }
    ASSERT_TRUE(run_.WriteEpisode(record).ok());
  }
  grid_.episodes = 10;
  const BudgetReport report = Build();
  EXPECT_EQ(report.rows[0].pairs.n, 8);
  EXPECT_EQ(report.rows[0].left_out, 1);
  ASSERT_EQ(report.notes.size(), 3u);
  EXPECT_EQ(report.notes[0], "the run is not finished: 19 of 20 episodes are there");
  EXPECT_TRUE(report.notes[1].starts_with("h64: 1 pairs left out")) << report.notes[1];
}

TEST_F(BudgetReportTest, AnArmWithoutEpisodesIsRefused) {
  Write({"full", "recall_color", "short", 0}, true);
  Write({"h64", "recall_color", "short", 1}, true);
  const Status status = BuildBudgetReport(run_, grid_, 2, 0.05).status();
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_NE(status.message().find("arm 'h64' has no episode"), std::string::npos);
}

}  // namespace
}  // namespace kvla
