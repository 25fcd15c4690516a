// SPDX-License-Identifier: Apache-2.0
// The trainers of wg_kv and dms where one token of each history matters.
#include "policy/compact/gate/write_gate_fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>

#include "base/rng.h"
#include "tests/kv_efficient/episodes.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

constexpr int kBlocks = 22, kWindow = 4, kChunk = 2;

CacheGeometry Geometry() {
  CacheGeometry g = SmallGeometry();
  g.rope_theta = 0;  // nothing is turned: what matters is one direction of the key
  return g;
}

CacheConfig Config(const std::string& method) {
  CacheConfig c = SmallConfig(method);
  c.window_blocks = kWindow;
  c.chunk_blocks = kChunk;
  return c;
}

// Every query looks along the first dimension, where the key of one token stands out, early in the
// history; all values are noise, that token's large.
Episode MakeHistory(const CacheGeometry& g, uint64_t seed, int64_t* matters) {
  Episode e = MakeEpisode(g, kBlocks, static_cast<int>(seed % 10000));
  *matters = 3 + Rng(seed).UniformInt(20);
  const int64_t row = g.instruction_tokens + *matters;
  for (int layer = 0; layer < g.layers; ++layer) {
    const size_t at = static_cast<size_t>(layer);
    e.q[at].select(2, 0).fill_(6);
    e.k[at].select(2, 0).mul_(0.3);
    e.k[at].select(1, row).zero_();
    e.k[at].select(1, row).select(1, 0).fill_(4);
    e.v[at].select(1, row).fill_(3);
  }
  return e;
}

torch::Tensor Attended(const CacheGeometry& g, const Episode& e, GatedPass* pass) {
  std::vector<int> positions(static_cast<size_t>(e.blocks));
  for (int i = 0; i < e.blocks; ++i) positions[static_cast<size_t>(i)] = i;
  const Result<Visibility> seen =
      BuildVisibility(BlockSchedule(kWindow, kChunk), g.instruction_tokens, g.tokens_per_block,
                      positions, {}, ChunkAction::kWhole);
  const Result<TrainingPlan> plan =
      PlanTraining({&*seen, 1}, TableFor(g), g.age_clamp_blocks, at::kCPU);
  std::vector<torch::Tensor> layers;
  for (int layer = 0; layer < g.layers; ++layer) {
    const auto at = static_cast<size_t>(layer);
    const torch::Tensor q = e.q[at].unsqueeze(0), k = e.k[at].unsqueeze(0),
                        v = e.v[at].unsqueeze(0);
    layers.push_back(pass != nullptr ? pass->Attend(layer, q, k, v, *plan)
                                     : TrainingAttention(q, k, v, *plan));
  }
  return torch::stack(layers);
}

class WriteGateFit : public testing::TestWithParam<std::string> {
 protected:
  WriteGateTrainConfig FitConfig() const {
    WriteGateTrainConfig config;
    config.method = GetParam();
    config.steps = GetParam() == "dms" ? 300 : 150;
    config.batch = 2;
    config.threads = 1;
    config.learning_rate = 5e-2;
    config.sparsity = GetParam() == "dms" ? 4 : 0.5;
    config.share = 0.05;
    return config;
  }
  WriteGate Fresh() const {
    torch::manual_seed(2);
    WriteGateShape shape{g_.layers, g_.kv_heads, g_.head_dim};
    if (GetParam() == "dms") shape.hidden = 0;
    return WriteGate(shape);
  }
  static WriteGateTeacher Teacher(const CacheGeometry& g) {
    return [g](int step, size_t part, GatedPass& pass) {
      int64_t matters = 0;
      // Not global streams: parts are worked on side by side.
      const Episode e = MakeHistory(g, static_cast<uint64_t>(step) * 7 + part, &matters);
      const torch::Tensor full = Attended(g, e, nullptr);
      return (Attended(g, e, &pass) - full).square().mean() / full.square().mean();
    };
  }

  const CacheGeometry g_ = Geometry();
};
INSTANTIATE_TEST_SUITE_P(Method, WriteGateFit, testing::Values("wg_kv", "dms"),
                         [](const auto& info) { return info.param; });

TEST_P(WriteGateFit, LowersItsLossAndKeepsTheTokenThatMatters) {
  torch::set_num_threads(1);
  const WriteGateTrainConfig config = FitConfig();
  WriteGate gate = Fresh();
  std::vector<WriteGateStep> curve;
  const Status fitted = FitWriteGate(config, Teacher(g_), {}, gate, [&](const WriteGateStep& step) {
    curve.push_back(step);
    return true;
  });
  ASSERT_TRUE(fitted.ok()) << fitted.message();
  ASSERT_EQ(std::ssize(curve), config.steps);
  const auto mean = [&](size_t first, auto member) {
    double sum = 0;
    for (size_t i = first; i < first + 20; ++i) sum += curve[i].*member;
    return sum / 20;
  };
  const double end = mean(curve.size() - 20, &WriteGateStep::kept);
  EXPECT_LT(end, 0.3) << "at first " << curve.front().kept;
  EXPECT_GT(curve.front().kept, 0.6);
  // What it costs with so little kept: far below that of a window alone.
  GatedPass shut(gate, {.opening = Opening::kShut});
  EXPECT_LT(mean(curve.size() - 20, &WriteGateStep::distance),
            0.3 * Teacher(g_)(1, 0, shut).item<double>());
  if (GetParam() == "wg_kv") {  // the aim of dms falls, so that its loss may rise
    EXPECT_LT(mean(curve.size() - 20, &WriteGateStep::loss), 0.6 * mean(0, &WriteGateStep::loss));
  }

  // The method that loads it keeps that one token in every lane.
  const ScratchDir folder;
  CacheConfig c = Config(GetParam());
  c.gate = (folder / "gate.safetensors").string();
  ASSERT_TRUE(SaveWriteGate(gate, GetParam(), c.gate, {}).ok());
  c.threshold = 0;
  c.budget_tokens = 1;
  for (const uint64_t seed : {9001U, 9002U, 9003U}) {
    int64_t matters = 0;
    const Episode e = MakeHistory(g_, seed, &matters);
    auto cache = MakeCache(g_, c);
    RunEpisode(*cache, e);
    for (int lane = 0; lane < g_.lanes(); ++lane) {
      int held = 0;
      for (const FarToken& token : cache->store().far(lane / g_.kv_heads, lane % g_.kv_heads)) {
        if (token.chunk < 0) continue;
        ++held;
        EXPECT_EQ(token.chunk * kChunk * g_.tokens_per_block + token.offset, matters) << lane;
      }
      EXPECT_EQ(held, 1) << lane;
    }
  }
}

// A gate that is hard weighs as the cache does that holds what it admits.
TEST_P(WriteGateFit, AHardPassIsWhatTheMethodComputes) {
  torch::set_num_threads(1);
  WriteGate gate = Fresh();
  {
    const torch::NoGradGuard no_grad;
    gate->named_parameters()["out_bias"].zero_();
  }
  const ScratchDir folder;
  CacheGeometry g = SmallGeometry();
  CacheConfig c = Config(GetParam());
  c.gate = (folder / "gate.safetensors").string();
  ASSERT_TRUE(SaveWriteGate(gate, GetParam(), c.gate, {}).ok());
  const Episode e = MakeEpisode(g, kBlocks, 4);
  auto cache = MakeCache(g, c);
  const torch::Tensor want = RunEpisode(*cache, e);
  const torch::NoGradGuard no_grad;
  GatedPass pass(gate, {.opening = Opening::kHard});
  EXPECT_LT(MaxDifference(Attended(g, e, &pass).squeeze(1), want), 1e-5);
  EXPECT_GT(pass.kept().item<double>(), 0.2);
  EXPECT_LT(pass.kept().item<double>(), 0.8);
  GatedPass shut(gate, {.opening = Opening::kShut});
  CacheConfig window = Config("window");
  auto bare = MakeCache(g, window);
  EXPECT_LT(MaxDifference(Attended(g, e, &shut).squeeze(1), RunEpisode(*bare, e)), 1e-5);
  EXPECT_EQ(shut.kept().item<double>(), 0);
}

TEST_P(WriteGateFit, EndsWhenItsMinutesAreSpentOrItIsStopped) {
  torch::set_num_threads(1);
  WriteGate gate = Fresh();
  double spent = 0;
  std::vector<double> shares;
  const auto keep_on = [&](const WriteGateStep& step) {
    shares.push_back(step.share);
    return true;
  };
  ASSERT_TRUE(FitWriteGate(
                  FitConfig(), Teacher(g_), [&] { return spent += 0.25; }, gate, keep_on)
                  .ok());
  EXPECT_EQ(shares, (std::vector<double>{0.25, 0.5, 0.75}));
  const Status stopped =
      FitWriteGate(FitConfig(), Teacher(g_), {}, gate, [](const WriteGateStep&) { return false; });
  EXPECT_EQ(stopped.code(), StatusCode::kCancelled);
}

TEST(DmsAimTest, TheRatioGrowsEvenlyAndThenHolds) {
  EXPECT_DOUBLE_EQ(DmsAim(0, 0.125), 1);
  EXPECT_DOUBLE_EQ(DmsAim(1.0 / 3, 0.125), 1 / 4.5);
  EXPECT_DOUBLE_EQ(DmsAim(2.0 / 3, 0.125), 0.125);
  EXPECT_DOUBLE_EQ(DmsAim(1, 0.125), 0.125);
}

}  // namespace
}  // namespace kvla
