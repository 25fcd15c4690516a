// SPDX-License-Identifier: Apache-2.0
// The gate's loss, fit, calibration and counts, against values worked out by hand.
#include "policy/compact/gate/gate_fit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace kvla {
namespace {

constexpr int kTokens = 3, kFeatures = 8;

double Softplus(double x) { return std::log1p(std::exp(x)); }

// -w log sigmoid(x) for a useful chunk, -log(1 - sigmoid(x)) for another, by the definition.
TEST(GateLossTest, IsTheCrossEntropyWithUsefulChunksWeighted) {
  const torch::Tensor logits = torch::tensor({2.0F, -1.0F, 0.5F});
  const torch::Tensor useful = torch::tensor({1.0F, 0.0F, 0.0F});
  const torch::Tensor all = torch::ones({3});
  EXPECT_NEAR(GateLoss(logits, useful, all, 6.0).item<double>(),
              (6 * Softplus(-2) + Softplus(-1) + Softplus(0.5)) / 3, 1e-6);
  EXPECT_NEAR(GateLoss(logits, useful, all, 1.0).item<double>(),
              (Softplus(-2) + Softplus(-1) + Softplus(0.5)) / 3, 1e-6);
  // One that does not count is not there.
  EXPECT_NEAR(GateLoss(logits, useful, torch::tensor({1.0F, 0.0F, 1.0F}), 6.0).item<double>(),
              (6 * Softplus(-2) + Softplus(0.5)) / 2, 1e-6);
}

TEST(GateLossTest, PushesUsefulChunksUpAndOthersDown) {
  torch::Tensor logits = torch::zeros({4}, torch::requires_grad());
  GateLoss(logits, torch::tensor({1.0F, 0.0F, 0.0F, 1.0F}), torch::ones({4}), 6.0).backward();
  // (sigmoid(0) - 1) * 6 / 4 and sigmoid(0) / 4
  EXPECT_TRUE(
      torch::allclose(logits.grad(), torch::tensor({-0.75F, 0.125F, 0.125F, -0.75F}), 0, 1e-6))
      << logits.grad();
}

// An episode of random chunks; the useful ones stand out in one feature of one token.
LabelledChunks MakeEpisode(const std::vector<int>& useful, double mark = 6.0) {
  LabelledChunks episode;
  const auto n = static_cast<int64_t>(useful.size());
  episode.useful = torch::zeros({n});
  episode.counts = torch::ones({n});
  episode.features = torch::randn({n, kTokens, kFeatures});
  episode.drops.resize(useful.size());
  episode.saw_cue.resize(useful.size());
  for (int64_t i = 0; i < n; ++i) {
    if (useful[static_cast<size_t>(i)] == 0) continue;
    episode.useful[i] = 1.0;
    episode.features[i][1][2] += mark;
  }
  return episode;
}

std::vector<LabelledChunks> Episodes(int count, double mark = 6.0) {
  std::vector<LabelledChunks> episodes;
  for (int i = 0; i < count; ++i) {
    std::vector<int> useful(6, 0);
    useful[static_cast<size_t>(i % 6)] = 1;
    episodes.push_back(MakeEpisode(useful, mark));
  }
  return episodes;
}

ChunkGate Fresh(int seed = 4) {
  torch::manual_seed(seed);
  return ChunkGate(GateShape{kFeatures, kTokens, 16});
}

double MeanLoss(const std::vector<LabelledChunks>& episodes, ChunkGate& gate, double weight) {
  const torch::NoGradGuard no_grad;
  double total = 0;
  for (const LabelledChunks& e : episodes) {
    total += GateLoss(gate->Forward(e.features), e.useful, e.counts, weight).item<double>();
  }
  return total / static_cast<double>(episodes.size());
}

TEST(GateFitTest, ReachesEveryWeightOfTheGate) {
  torch::set_num_threads(1);
  ChunkGate gate = Fresh();
  const LabelledChunks episode = MakeEpisode({0, 1, 0, 1});
  GateLoss(gate->Forward(episode.features), episode.useful, episode.counts, 6.0).backward();
  for (const auto& item : gate->named_parameters()) {
    ASSERT_TRUE(item.value().grad().defined()) << item.key();
    EXPECT_GT(item.value().grad().abs().max().item<double>(), 0) << item.key();
  }
}

TEST(GateFitTest, LearnsWhichChunksAreUseful) {
  torch::set_num_threads(1);
  torch::manual_seed(1);
  const std::vector<LabelledChunks> train = Episodes(18), validation = Episodes(6);
  ChunkGate gate = Fresh();
  GateTrainConfig config;
  config.epochs = 30;
  config.learning_rate = 1e-2;
  std::vector<GateEpoch> curve;
  const Result<int> best = FitGate(config, train, validation, gate, [&](const GateEpoch& epoch) {
    curve.push_back(epoch);
    return true;
  });
  ASSERT_TRUE(best.ok()) << best.status().message();
  ASSERT_EQ(curve.size(), 30u);
  EXPECT_LT(curve.back().train_loss, 0.2 * curve.front().train_loss);
  config.recall = 1.0;
  CalibrateGate(config, validation, gate);
  const GateCounts counts = CountKept(validation, GateLogits(validation, gate));
  EXPECT_EQ(counts.recall(), 1.0);
  EXPECT_EQ(counts.precision(), 1.0);
}

// The labels of validation contradict those of training: the longer it learns, the worse it gets.
TEST(GateFitTest, KeepsTheWeightsOfTheEpochWithTheLeastValidationLoss) {
  torch::set_num_threads(1);
  torch::manual_seed(2);
  const std::vector<LabelledChunks> train = Episodes(12);
  std::vector<LabelledChunks> validation = Episodes(6);
  for (LabelledChunks& e : validation) e.useful = 1 - e.useful;
  ChunkGate gate = Fresh();
  GateTrainConfig config;
  config.epochs = 12;
  config.learning_rate = 1e-2;
  std::vector<double> losses;
  const Result<int> best = FitGate(config, train, validation, gate, [&](const GateEpoch& epoch) {
    EXPECT_EQ(epoch.number, static_cast<int>(losses.size()) + 1);
    EXPECT_NEAR(epoch.validation_loss, MeanLoss(validation, gate, config.positive_weight), 1e-6);
    losses.push_back(epoch.validation_loss);
    return true;
  });
  ASSERT_TRUE(best.ok()) << best.status().message();
  const auto least = std::min_element(losses.begin(), losses.end());
  EXPECT_EQ(*best, static_cast<int>(least - losses.begin()) + 1);
  EXPECT_NEAR(MeanLoss(validation, gate, config.positive_weight), *least, 1e-6);
  EXPECT_GT(losses.back(), 1.2 * *least);  // the last epoch's would be others
}

TEST(GateFitTest, StopsWhenToldTo) {
  torch::set_num_threads(1);
  const std::vector<LabelledChunks> episodes = Episodes(2);
  ChunkGate gate = Fresh();
  int epochs = 0;
  const Result<int> best =
      FitGate({}, episodes, episodes, gate, [&](const GateEpoch&) { return ++epochs < 3; });
  EXPECT_EQ(best.status().code(), StatusCode::kCancelled);
  EXPECT_EQ(epochs, 3);
}

TEST(GateCalibrationTest, TheLogitOfARecallLeavesJustSoManyBelow) {
  const std::vector<double> logits = {0.5, -2, 3, 1, -0.5, 2, 4, 5, 6, 7};  // any order
  EXPECT_EQ(LogitOfRecall(logits, 1.0), -2);
  EXPECT_EQ(LogitOfRecall(logits, 0.99), -2);   // of ten, 9 would be less than .99
  EXPECT_EQ(LogitOfRecall(logits, 0.75), 0.5);  // 8 of 10; 7 would be less
  EXPECT_EQ(LogitOfRecall(logits, 0.5), 3);
  EXPECT_EQ(LogitOfRecall(logits, 0.0), 7);
  EXPECT_EQ(LogitOfRecall({}, 0.9), 0);
  std::vector<double> hundred(100);
  for (int i = 0; i < 100; ++i) hundred[static_cast<size_t>(i)] = i;
  EXPECT_EQ(LogitOfRecall(hundred, 0.55), 45);
  EXPECT_EQ(LogitOfRecall(hundred, 0.9), 10);
}

// Threshold 0.5 then keeps the wanted share of useful chunks, other chunks or not.
TEST(GateCalibrationTest, HalfIsTheThresholdOfTheWantedRecall) {
  torch::set_num_threads(1);
  torch::manual_seed(3);
  const std::vector<LabelledChunks> episodes = Episodes(40, 1.0);
  for (const double recall : {1.0, 0.9, 0.5}) {
    for (int seed = 0; seed < 5; ++seed) {
      ChunkGate gate = Fresh(seed);
      const std::vector<torch::Tensor> before = GateLogits(episodes, gate);
      GateTrainConfig config;
      config.recall = recall;
      const double shift = CalibrateGate(config, episodes, gate);
      const std::vector<torch::Tensor> after = GateLogits(episodes, gate);
      EXPECT_TRUE(torch::allclose(before[0] - shift, after[0], 0, 1e-5));
      const GateCounts counts = CountKept(episodes, after);
      EXPECT_EQ(counts.useful_kept, std::lround(recall * counts.useful)) << seed;
    }
  }
}

// Against every threshold: that of the best F-measure, by its definition.
TEST(GateCalibrationTest, TheBestThresholdByFWeighsRecall) {
  // One useful chunk looks like any: to keep it too costs 6 false ones.
  const std::vector<double> useful = {5, 4, 3, -1}, others = {-0.9, 3.5, -0.5, 0, -0.2, -0.8, -2};
  for (const double beta : {0.5, 1.0, 2.0, 3.0, 10.0}) {
    double best = -1, want = 0;
    for (const double at : useful) {
      const auto above = [at](double x) { return x >= at; };
      const auto hits = static_cast<double>(std::ranges::count_if(useful, above));
      const auto kept = hits + static_cast<double>(std::ranges::count_if(others, above));
      const double precision = hits / kept, recall = hits / 4;
      const double f = (1 + beta * beta) * precision * recall / (beta * beta * precision + recall);
      if (f > best) {
        best = f;
        want = at;
      }
    }
    EXPECT_EQ(LogitOfF(useful, others, beta), want) << beta;
  }
  EXPECT_EQ(LogitOfF(useful, others, 1), 3);
  EXPECT_EQ(LogitOfF(useful, others, 10), -1);
  EXPECT_EQ(LogitOfF({}, others, 1), 0);
  // The gate's own threshold follows it.
  torch::set_num_threads(1);
  torch::manual_seed(3);
  const std::vector<LabelledChunks> episodes = Episodes(40, 1.0);
  int kept = 0;
  for (const double beta : {0.5, 20.0}) {
    ChunkGate gate = Fresh(1);
    GateTrainConfig config;
    config.beta = beta;
    CalibrateGate(config, episodes, gate);
    const int now = CountKept(episodes, GateLogits(episodes, gate)).kept;
    EXPECT_GT(now, kept);
    kept = now;
  }
}

TEST(GateCountsTest, AChunkThatDoesNotCountIsNotCounted) {
  LabelledChunks episode = MakeEpisode({1, 0, 0});
  episode.counts[1] = 0;
  const std::vector<LabelledChunks> episodes = {episode};
  const std::vector<torch::Tensor> logits = {torch::tensor({1.0F, 1.0F, -1.0F})};
  const GateCounts counts = CountKept(episodes, logits);
  EXPECT_EQ(counts.chunks, 2);
  EXPECT_EQ(counts.kept, 1);
  EXPECT_EQ(counts.precision(), 1.0);
}

TEST(GateCountsTest, AreCountedByHand) {
  LabelledChunks a = MakeEpisode({1, 0, 0, 1}), b = MakeEpisode({0, 1}), c = MakeEpisode({0, 0});
  LabelledChunks d = MakeEpisode({1, 0});
  a.target = b.target = 2;
  c.target = 2;  // nothing useful: not counted for its target
  d.target = 5;
  a.saw_cue = {true, true, false, false};
  const std::vector<LabelledChunks> episodes = {a, b, c, d};
  const std::vector<torch::Tensor> logits = {
      torch::tensor({0.0F, 1.0F, -1.0F, -2.0F}),  // 0 keeps
      torch::tensor({3.0F, -0.1F}), torch::tensor({1.0F, -1.0F}), torch::tensor({2.0F, 2.0F})};
  const GateCounts counts = CountKept(episodes, logits);
  EXPECT_EQ(counts.chunks, 10);
  EXPECT_EQ(counts.useful, 4);
  EXPECT_EQ(counts.kept, 6);
  EXPECT_EQ(counts.useful_kept, 2);
  EXPECT_DOUBLE_EQ(counts.recall(), 0.5);
  EXPECT_DOUBLE_EQ(counts.precision(), 2.0 / 6);
  EXPECT_EQ(counts.cue, 2);
  EXPECT_EQ(counts.cue_useful, 1);
  EXPECT_EQ(counts.cue_kept, 2);
  ASSERT_EQ(counts.by_target.size(), 2u);
  EXPECT_EQ(counts.by_target.at(2).episodes, 2);
  EXPECT_EQ(counts.by_target.at(2).kept, 1);
  EXPECT_EQ(counts.by_target.at(5).episodes, 1);
  EXPECT_EQ(counts.by_target.at(5).kept, 1);
}

}  // namespace
}  // namespace kvla
