// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/gate/gate_report.h"

#include <gtest/gtest.h>

namespace kvla {
namespace {

TEST(RankCorrelationTest, IsSpearmansByHand) {
  const std::vector<double> a = {1, 2, 3, 4, 5};
  EXPECT_NEAR(*RankCorrelation(a, std::vector<double>{10, 20, 30, 40, 1000}), 1, 1e-12);
  EXPECT_NEAR(*RankCorrelation(a, std::vector<double>{5, 4, 3, 2, 1}), -1, 1e-12);
  // Differences of ranks 1, 1, 0, 1, 1: 1 - 6 * 4 / (5 * 24).
  EXPECT_NEAR(*RankCorrelation(a, std::vector<double>{2, 1, 3, 5, 4}), 0.8, 1e-12);
  // Ties: ranks 0.5 0.5 2 3.5 3.5 against 0..4; covariance 9, variances 10 and 9.
  EXPECT_NEAR(*RankCorrelation(a, std::vector<double>{7, 7, 8, 9, 9}), 9 / std::sqrt(90.0), 1e-12);
  EXPECT_FALSE(RankCorrelation(a, std::vector<double>{1, 1, 1, 1, 1}));
  EXPECT_FALSE(RankCorrelation(std::vector<double>{1, 2}, std::vector<double>{1, 2}));
}

LabelledChunks Episode(const std::string& task, int target, int onset, std::vector<bool> saw) {
  LabelledChunks episode;
  episode.task = task;
  episode.target = target;
  episode.onset_block = onset;
  episode.saw_cue = std::move(saw);
  return episode;
}

TEST(CueReportTest, CountsByValueAndByOnset) {
  const std::vector<LabelledChunks> episodes = {
      Episode("lamp", 1, 30, {false, true, false}), Episode("lamp", 2, 10, {true, false, false}),
      Episode("lamp", 1, 20, {false, false, true}), Episode("none", 0, -1, {false, false, false})};
  const std::vector<torch::Tensor> logits = {
      torch::tensor({1.0F, 0.0F, -1.0F}),   // keeps the cue and another
      torch::tensor({-1.0F, -1.0F, 1.0F}),  // misses it
      torch::tensor({-1.0F, -1.0F, 2.0F}), torch::tensor({1.0F, 1.0F, 1.0F})};
  const nlohmann::json report = CueReport(episodes, logits, 0.2);
  EXPECT_EQ(report["all"]["episodes"], 3);
  EXPECT_NEAR(report["all"]["recall"], 2.0 / 3, 1e-12);
  EXPECT_NEAR(report["all"]["precision"], 2.0 / 4, 1e-12);
  EXPECT_EQ(report["by_value"].size(), 2u);
  EXPECT_EQ(report["by_value"]["lamp/1"]["recall"], 1.0);
  EXPECT_NEAR(report["by_value"]["lamp/1"]["precision"], 2.0 / 3, 1e-12);
  EXPECT_EQ(report["by_value"]["lamp/2"]["recall"], 0.0);
  ASSERT_EQ(report["by_onset"].size(), 3u);
  EXPECT_NEAR(report["by_onset"][0]["from_s"], 2.0, 1e-12);
  EXPECT_EQ(report["by_onset"][0]["recall"], 0.0);
  EXPECT_NEAR(report["by_onset"][2]["to_s"], 6.0, 1e-12);
  EXPECT_EQ(report["by_onset"][2]["precision"], 0.5);
}

TEST(AgreementReportTest, IsTheMeanOverEpisodesThatHaveBoth) {
  std::vector<LabelledChunks> episodes(3);
  episodes[0].change = {0.1, 0.2, 0.3};  // the last chunk left later
  episodes[1].change = {0.3, 0.2, 0.1};
  const torch::Tensor rising = torch::tensor({-1.0F, 0.0F, 1.0F, -5.0F});
  const std::vector<torch::Tensor> logits = {rising, rising, rising};
  const nlohmann::json both = AgreementReport(episodes, logits);
  EXPECT_EQ(both["episodes"], 2);
  EXPECT_NEAR(both["rank_correlation"], 0.0, 1e-12);
  const nlohmann::json one = AgreementReport(std::span(episodes).first(1), logits);
  EXPECT_NEAR(one["rank_correlation"], 1.0, 1e-12);
  EXPECT_TRUE(AgreementReport(std::span(episodes).last(1), logits)["rank_correlation"].is_null());
}

}  // namespace
}  // namespace kvla
