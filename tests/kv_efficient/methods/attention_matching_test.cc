// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <set>

#include "tests/kv_efficient/episodes.h"

namespace kvla {
namespace {

constexpr int kBlocks = 10;  // one chunk of 4 blocks has left

struct Lane {
  at::Tensor logits;  // f64 [queries, tokens] of the chunk, by the 4 newest blocks' queries
  at::Tensor values;  // f64 [tokens, head_dim]
};

Lane PlainLane(const CacheGeometry& g, const Episode& e, int layer, int head) {
  const RotaryTable rotary = TableFor(g);
  const auto turned = [&](const at::Tensor& x, const std::vector<int64_t>& positions) {
    const at::Tensor at = torch::tensor(positions, torch::kInt64);
    return Rotate(x, rotary.Cos(at), rotary.Sin(at)).to(torch::kFloat64);
  };
  std::vector<int64_t> places;
  for (int64_t i = 0; i < 12; ++i) places.push_back(g.clamps() ? 0 : i / 3);
  const at::Tensor q = e.q[layer].narrow(0, 2 * head, 2).narrow(1, 6 * 3, 12).reshape({24, 16});
  // Every reference asks as the next block would.
  const at::Tensor asked =
      turned(q, std::vector<int64_t>(24, g.clamps() ? g.age_clamp_blocks : kBlocks));
  const at::Tensor k = turned(e.k[layer][head].narrow(0, g.instruction_tokens, 12), places);
  return {torch::matmul(asked, k.t()) / 4,
          e.v[layer][head].narrow(0, g.instruction_tokens, 12).to(torch::kFloat64)};
}

CacheConfig Config(int budget) {
  CacheConfig c = SmallConfig("attention_matching");
  c.budget_tokens = budget;
  return c;
}

TEST(AttentionMatching, KeepsTheKeysThatSomeQueryAsksForMost) {
  for (const CacheGeometry& g : PositionRules()) {
    const Episode e = MakeEpisode(g, kBlocks, 3);
    auto cache = MakeCache(g, Config(5));
    RunEpisode(*cache, e);
    for (int lane = 0; lane < g.lanes(); ++lane) {
      const Lane plain = PlainLane(g, e, lane / 2, lane % 2);
      const at::Tensor most = std::get<0>(plain.logits.softmax(1).max(0));
      const at::Tensor order = most.argsort(0, /*descending=*/true);
      std::set<int> want, held;
      for (int i = 0; i < 5; ++i) want.insert(static_cast<int>(order[i].item<int64_t>()));
      for (const FarToken& t : cache->store().far(lane / 2, lane % 2)) {
        if (t.chunk >= 0) held.insert(t.offset);
      }
      EXPECT_EQ(held, want) << "lane " << lane;
    }
  }
}

// What is kept stands for what is gone: the references' sums of exponentials, and what they read.
TEST(AttentionMatching, WeightsAndValuesGiveTheReferencesWhatAllTokensGave) {
  for (const CacheGeometry& g : PositionRules()) {
    const Episode e = MakeEpisode(g, kBlocks, 3);
    auto cache = MakeCache(g, Config(6));
    RunEpisode(*cache, e);
    for (int lane = 0; lane < g.lanes(); ++lane) {
      const Lane plain = PlainLane(g, e, lane / 2, lane % 2);
      const auto values = cache->store().FarRows(lane / 2, lane % 2).second;
      std::vector<int64_t> kept;
      std::vector<double> weights;
      for (const FarToken& t : cache->store().far(lane / 2, lane % 2)) {
        if (t.chunk < 0) continue;
        kept.push_back(t.offset);
        weights.push_back(t.weight);
      }
      const at::Tensor at = torch::tensor(kept, torch::kInt64);
      const at::Tensor u = torch::tensor(weights, torch::kFloat64);
      const at::Tensor p = plain.logits.softmax(1);  // sums to 1 over all
      const at::Tensor of_kept = p.index_select(1, at);
      // The least squares of non-negative weights: no weight can go down the error's slope.
      const at::Tensor slope =
          torch::matmul(of_kept.t(), torch::matmul(of_kept, u) - 1).contiguous();
      for (int64_t i = 0; i < u.numel(); ++i) {
        const double s = slope[i].item<double>();
        if (weights[i] > 2e-3) {
          EXPECT_NEAR(s, 0, 1e-3) << "lane " << lane << ", token " << i;
        } else {
          EXPECT_GT(s, -1e-3) << "lane " << lane << ", token " << i;
        }
      }
      const at::Tensor given = of_kept * u;
      const at::Tensor wanted = torch::matmul(p, plain.values);
      const auto error = [&](const at::Tensor& x, const at::Tensor& v) {
        return (torch::matmul(x / x.sum(1, true), v) - wanted).square().sum().item<double>();
      };
      const at::Tensor now = values.narrow(0, g.instruction_tokens, 6).to(torch::kFloat64);
      const at::Tensor before = plain.values.index_select(0, at);
      EXPECT_LT(error(given, now), 0.3 * error(of_kept, before)) << "lane " << lane;
      EXPECT_LT(error(given, now), error(given, before)) << "lane " << lane;
    }
  }
}

// Attention reads what was fitted, in every storage type.
TEST(AttentionMatching, TheNextBlockAttendsToWeightsAndValuesAsTheyAreHeld) {
  for (const char* storage : {"f32", "bf16", "int8"}) {
    for (const CacheGeometry& g : PositionRules()) {
      CacheConfig c = Config(6);
      c.storage = storage;
      const Episode e = MakeEpisode(g, kBlocks + 1, 3);
      auto cache = MakeCache(g, c);
      std::vector<std::vector<at::Tensor>> ignored, out;
      BeginEpisode(*cache, e);
      RunBlocks(*cache, e, 0, kBlocks, &ignored);
      const RotaryTable rotary = TableFor(g);
      const auto turned = [&](const at::Tensor& x, const std::vector<int64_t>& positions) {
        const at::Tensor at = torch::tensor(positions, torch::kInt64);
        return Rotate(x, rotary.Cos(at), rotary.Sin(at));
      };
      std::vector<at::Tensor> want;
      for (int head = 0; head < g.kv_heads; ++head) {
        const auto [keys, values] = cache->store().FarRows(0, head);
        std::vector<int64_t> far_places, near_places;
        std::vector<float> bias;
        for (const FarToken& t : cache->store().far(0, head)) {
          far_places.push_back(g.clamps() ? 0 : t.block());
          bias.push_back(std::log(t.weight));
        }
        for (int64_t i = 12; i < 33; ++i) near_places.push_back(i / 3);
        const at::Tensor q = e.q[0].narrow(0, 2 * head, 2).narrow(1, 30, 3);
        const int64_t near = g.instruction_tokens + 12;
        const at::Tensor far_logits =
            torch::matmul(
                turned(q, std::vector<int64_t>(3, g.clamps() ? g.age_clamp_blocks : kBlocks)),
                turned(keys, far_places).t()) /
                4 +
            torch::tensor(bias);
        const at::Tensor near_logits =
            torch::matmul(turned(q, std::vector<int64_t>(3, kBlocks)),
                          turned(e.k[0][head].narrow(0, near, 21), near_places).t()) /
            4;
        const at::Tensor p = torch::cat({far_logits, near_logits}, 2).softmax(2);
        want.push_back(torch::matmul(p, torch::cat({values, e.v[0][head].narrow(0, near, 21)})));
      }
      RunBlocks(*cache, e, kBlocks, kBlocks + 1, &out);
      const double most = c.storage == "f32" ? 1e-5 : 0.05;
      EXPECT_LT((out[0][0] - torch::cat(want)).abs().max().item<double>(), most) << storage;
    }
  }
}

// A plan that fits what is not there changes nothing.
TEST(ChunkStoreFit, OfOtherSizesOrValuesIsRefused) {
  class Fits : public CachePolicy {
   public:
    explicit Fits(LaneFit fit) : fit_(std::move(fit)) {}
    float Score(const ChunkView&) override { return 0; }
    Plan PlanLeaving(const ChunkView& chunk, const FarState& state) override {
      Plan plan;
      plan.decisions.push_back({chunk.chunk, ChunkAction::kWhole, 0, ReasonCode::kAll});
      plan.lanes.resize(state.lanes.size());
      plan.lanes[1].fit = fit_;
      return plan;
    }
    std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Fits>(*this); }
    MethodCost cost() const override { return {}; }

   private:
    LaneFit fit_;
  };
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, kBlocks, 3);
  LaneFit good;
  good.weights.assign(12, 2.0F);
  good.values.assign(size_t{12} * g.head_dim, 1.0F);
  LaneFit few = good, negative = good, none = good;
  few.weights.pop_back();
  negative.weights[3] = -1;
  none.values[5] = NAN;
  for (const auto& [fit, right] :
       {std::pair{good, true}, {few, false}, {negative, false}, {none, false}}) {
    auto cache = MakeCache(g, SmallConfig("full"), std::make_unique<Fits>(fit));
    BeginEpisode(*cache, e);
    std::vector<std::vector<at::Tensor>> out;
    RunBlocks(*cache, e, 0, kBlocks - 1, &out);
    ASSERT_TRUE(cache->BeginBlock().ok());
    for (int layer = 0; layer < g.layers; ++layer) {
      cache->Attend(layer, e.q[layer].narrow(1, 27, 3), e.k[layer].narrow(1, 29, 3),
                    e.v[layer].narrow(1, 29, 3));
    }
    const Status s = cache->EndBlock();
    EXPECT_EQ(s.ok(), right) << s.message();
    if (right) {
      EXPECT_EQ(cache->store().far(0, 1)[5].weight, 2);
      EXPECT_EQ(cache->store().FarRows(0, 1).second[5][0].item<float>(), 1);
      EXPECT_EQ(cache->store().far(0, 0)[5].weight, 1);
    } else {
      EXPECT_EQ(s.code(), StatusCode::kInternal);
      EXPECT_EQ(cache->store().near_begin_block(), 0);
    }
  }
}

}  // namespace
}  // namespace kvla
