// SPDX-License-Identifier: Apache-2.0
// What a block costs: bytes, tokens, time by part, work. By hand on a small geometry.
#include <cmath>

#include "kv_efficient/attention/attention_tiles.h"
#include "kv_efficient/cost_model.h"
#include "kv_efficient/rotary.h"
#include "tests/flop_counter.h"
#include "tests/kernels/scalar_vectors.h"
#include "tests/kv_efficient/every_method.h"

namespace kvla {
namespace {

// 4 lanes; a lane's page of keys has 16 tokens, two blocks.
CacheGeometry PagedGeometry() {
  CacheGeometry g = SmallGeometry();
  g.head_dim = 64;
  g.tokens_per_block = 8;
  return g;
}

// Runs blocks until `blocks` are done.
std::unique_ptr<KvCache> After(int blocks, const CacheGeometry& g, const CacheConfig& c,
                               std::unique_ptr<CachePolicy> policy = nullptr) {
  auto cache = MakeCache(g, c, std::move(policy));
  RunEpisode(*cache, MakeEpisode(g, blocks, 3));
  return cache;
}

TEST(CacheStats, WhatIsHeldWhileAttendingIncludesTheChunkThatThenLeaves) {
  const CacheGeometry g = PagedGeometry();
  // Window 6, chunks of 4: after the tenth block the first chunk leaves.
  const CacheStats s = After(10, g, SmallConfig("window"))->stats();
  EXPECT_EQ(s.cost.attended_tokens, 2 + 80);
  EXPECT_EQ(s.cost.kv_attending_bytes, KvBytes(g, 2 + 80));
  EXPECT_EQ(s.cost.kv_live_bytes, KvBytes(g, 2 + 48));
  EXPECT_EQ(s.cost.cached_tokens, 2 + 48);
  EXPECT_EQ(s.far_tokens, 2);
  // In the block before it nothing leaves.
  const CacheStats before = After(9, g, SmallConfig("window"))->stats();
  EXPECT_EQ(before.cost.kv_attending_bytes, before.cost.kv_live_bytes);
  EXPECT_EQ(before.cost.attended_tokens, 2 + 72);
}

TEST(CacheStats, FarTokensAreTheInstructionAndWhatWasKept) {
  const CacheGeometry g = PagedGeometry();
  EXPECT_EQ(After(10, g, SmallConfig("full"))->stats().far_tokens, 2 + 32);
  EXPECT_EQ(After(10, g, SmallConfig("mean_pool"))->stats().far_tokens, 2 + 8);
  EXPECT_EQ(After(14, g, SmallConfig("mean_pool"))->stats().far_tokens, 2 + 16);
  EXPECT_EQ(After(9, g, SmallConfig("full"))->stats().far_tokens, 2);
}

TEST(CacheStats, CommittedPagesAreThoseOfTheMomentOfAttending) {
  const CacheGeometry g = PagedGeometry();
  const auto cache = After(10, g, SmallConfig("window"));
  // 82 tokens of 256 bytes are 6 pages a lane and slab; then 1 for the instruction, and those from
  // the page of token 34 on.
  EXPECT_EQ(cache->stats().cost.kv_committed_bytes, 8 * 6 * kPageBytes);
  EXPECT_EQ(cache->store().committed_bytes(), 8 * 5 * kPageBytes);
}

TEST(CacheStats, TransientBytesAreTheSummariesOfOneSlab) {
  const CacheGeometry g = PagedGeometry();
  EXPECT_EQ(After(10, g, SmallConfig("mean_pool"))->stats().cost.kv_transient_bytes,
            4 * 8 * 64 * 4);
  EXPECT_EQ(After(11, g, SmallConfig("mean_pool"))->stats().cost.kv_transient_bytes, 0);
  EXPECT_EQ(After(10, g, SmallConfig("window"))->stats().cost.kv_transient_bytes, 0);
}

TEST(CacheStats, AGateHasWeightsStateAndATemporary) {
  const ScratchDir folder;
  const CacheGeometry g = PagedGeometry();
  CacheConfig c = SmallConfig("gated");
  c.gate = SaveRandomGate(folder, g, c);
  const int64_t features = 2 * 4 * 64, h = 64;
  const int64_t weights = 2 * features + (features + 1) * h + (h + 1) * h + (2 * h + 1) * h +
                          2 * 4 * h * (h + 1) + h + 1;
  const CacheStats s = After(10, g, c)->stats();
  EXPECT_EQ(s.cost.method_bytes, 4 * (weights + 2 * h));
  EXPECT_EQ(s.cost.kv_transient_bytes, 4 * 32 * (2 * features + h));
}

// Advances by one with each look at it.
struct TickClock {
  std::shared_ptr<double> ms = std::make_shared<double>(0);
  double operator()() const { return (*ms)++; }
};

class Spender : public CachePolicy {
 public:
  Spender(TickClock clock, bool mass) : clock_(std::move(clock)), mass_(mass) {}
  Needs needs() const override {
    return {.keys_values = true, .attention_blocks = mass_ ? std::optional(0) : std::nullopt};
  }
  float Score(const ChunkView&) override {
    *clock_.ms += 1000;
    return 1;
  }
  MethodCost cost() const override { return {12, 1 << 20, 7}; }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Spender>(*this); }

 private:
  TickClock clock_;
  bool mass_;
};

CacheStats Timed(int blocks, bool mass) {
  const CacheGeometry g = SmallGeometry();
  const TickClock clock;
  auto cache = KvCache::Create(g, SmallConfig("full"), std::make_unique<Spender>(clock, mass),
                               at::kCPU, clock);
  EXPECT_TRUE(cache.ok()) << cache.status().message();
  RunEpisode(**cache, MakeEpisode(g, blocks, 3));
  return (*cache)->stats();
}

TEST(CacheStats, TimeGoesToThePartThatSpentIt) {
  // A tick for each of the two layers' attention; in the block after which a chunk leaves a tick
  // and the method's 1000 for the gate, one each for turning keys back and applying the plan.
  const CacheStats leaves = Timed(10, false);
  EXPECT_EQ(leaves.cost.latency.attend_ms, 2);
  EXPECT_EQ(leaves.cost.latency.gate_ms, 1001);
  EXPECT_EQ(leaves.cost.latency.compact_ms, 2);
  EXPECT_EQ(leaves.report_ms, 0);
  const CacheStats stays = Timed(11, false);
  EXPECT_EQ(stays.cost.latency.attend_ms, 2);
  EXPECT_EQ(stays.cost.latency.gate_ms + stays.cost.latency.compact_ms + stays.report_ms, 0);
}

TEST(CacheStats, AMethodPaysForWhatItNeeds) {
  EXPECT_EQ(Timed(10, false).gate_flops, 7);
  EXPECT_EQ(Timed(11, false).gate_flops, 0);
  EXPECT_EQ(Timed(10, false).cost.method_bytes, 12);
  EXPECT_EQ(Timed(10, false).cost.kv_transient_bytes, 1 << 20);
  // Attention mass: q.k once more in every block, and a number for each token of a lane.
  const CacheStats mass = Timed(11, true);
  EXPECT_EQ(mass.cost.attended_tokens, 2 + 33);
  EXPECT_EQ(mass.gate_flops, 2.0 * 2 * 4 * 16 * 3 * 35);
  EXPECT_EQ(mass.cost.method_bytes, 12 + 4 * 35 * 4);
  EXPECT_GT(mass.cost.latency.attend_ms, 2);  // its time is attention's
}

// The multiply-adds of the lanes' own jobs, less those of the exponentials: eight a key and row,
// and once more where a tile raises a row's maximum, which each lane's two regions do once here.
double CountedProducts(const KvCache& cache, bool mass) {
  const CacheGeometry& g = cache.geometry();
  constexpr double kExp = 16;  // FLOPs of one
  const int rows = g.group() * g.tokens_per_block;
  std::vector<float> queries(static_cast<size_t>(g.head_dim) * PaddedRows(rows), 0.0F);
  std::vector<float> out(queries.size()), lse(PaddedRows(rows)), received(1000);
  constexpr AttentionKernels kKernels = AttentionTiles<ScalarVectors>::Table("scalar");
  double products = 0;
  for (int layer = 0; layer < g.layers; ++layer) {
    for (int head = 0; head < g.kv_heads; ++head) {
      AttentionJob job;
      job.far = cache.store().FarRegion(layer, head);
      job.near = cache.store().NearRegion(layer, head);
      job.far.queries = job.near.queries = queries.data();
      job.head_dim = g.head_dim;
      job.rows = rows;
      job.out = out.data();
      job.log_sum_exp = lse.data();
      const double keys = job.far.tokens + job.near.tokens;
      ScalarVectors::Flops() = 0;
      kKernels.attend(job);
      products += ScalarVectors::Flops() - kExp * rows * (keys + 1);  // all scores are 0
      if (!mass) continue;
      ScalarVectors::Flops() = 0;
      kKernels.key_mass(job.far, g.head_dim, rows, lse.data(), received.data());
      kKernels.key_mass(job.near, g.head_dim, rows, lse.data(), received.data());
      products += ScalarVectors::Flops() - kExp * rows * keys;
    }
  }
  return products;
}

TEST(CacheStats, AttentionAndMassAreTheProductsThatAreMade) {
  for (const bool mass : {false, true}) {
    const CacheGeometry g = SmallGeometry();
    const Episode e = MakeEpisode(g, 11, 3);
    auto cache = MakeCache(g, SmallConfig("full"), std::make_unique<Spender>(TickClock(), mass));
    std::vector<std::vector<at::Tensor>> outputs;
    BeginEpisode(*cache, e);
    RunBlocks(*cache, e, 0, 11, &outputs);
    const CacheStats& s = cache->stats();
    EXPECT_EQ(CountedProducts(*cache, mass),
              DecoderFlops(g, {}, 3, static_cast<double>(s.cost.attended_tokens)).attention +
                  s.gate_flops);
  }
}

TEST(CacheStats, TheGatesWorkIsTheProductsThatItMakes) {
  for (const int hidden : {16, 64}) {
    ChunkGate gate(GateShape{24, 6, hidden});
    const torch::NoGradGuard no_grad;
    ChunkGateImpl::State state;
    for (int step = 0; step < 2; ++step) {  // without and with a state
      const at::Tensor chunk = torch::randn({1, 6, 24});
      const FlopCounter counter;
      gate->Step(chunk, &state);
      EXPECT_EQ(counter.total(), gate->Flops()) << "hidden " << hidden << ", step " << step;
    }
  }
}

// What the chunks received, by plain softmax attention over rotated queries and keys while all of
// them are near.
std::vector<double> PlainMass(const CacheGeometry& g, const Episode& e, int blocks,
                              int chunk_blocks) {
  const RotaryTable table = TableFor(g);
  std::vector<double> mass((blocks + chunk_blocks - 1) / chunk_blocks, 0);
  const int64_t t = g.tokens_per_block, i = g.instruction_tokens;
  const auto rotated = [&](const at::Tensor& x, int64_t position) {
    const at::Tensor p = torch::full({1}, position, torch::kInt64);
    return Rotate(x, table.Cos(p), table.Sin(p));
  };
  for (int layer = 0; layer < g.layers; ++layer) {
    for (int head = 0; head < g.heads; ++head) {
      const at::Tensor k = e.k[layer][head / g.group()];
      for (int64_t block = 0; block < blocks; ++block) {
        const at::Tensor q = e.q[layer][head].narrow(0, block * t, t);
        std::vector<at::Tensor> logits = {
            torch::matmul(rotated(q, g.age_clamp_blocks), k.narrow(0, 0, i).t())};
        for (int64_t past = 0; past <= block; ++past) {
          logits.push_back(
              torch::matmul(rotated(q, block), rotated(k.narrow(0, i + past * t, t), past).t()));
        }
        const at::Tensor p =
            (torch::cat(logits, 1) / std::sqrt(static_cast<double>(g.head_dim))).softmax(1);
        for (int64_t past = 0; past <= block; ++past) {
          mass[past / chunk_blocks] += p.narrow(1, i + past * t, t).sum().item<double>();
        }
      }
    }
  }
  return mass;
}

class MassWatcher : public CachePolicy {
 public:
  explicit MassWatcher(std::vector<std::vector<float>>* seen) : seen_(seen) {}
  Needs needs() const override { return {.attention_blocks = 0}; }
  float Score(const ChunkView&) override { return 1; }
  Plan PlanLeaving(const ChunkView& chunk, const FarState& state) override {
    // By chunk, over all lanes.
    std::vector<float> mass(chunk.chunk + 1);
    for (const LaneState& lane : state.lanes) {
      for (size_t i = 0; i < lane.mass.size(); ++i) {
        const int of = i < lane.far.size() ? lane.far[i].chunk : chunk.chunk;
        if (of >= 0) mass[of] += lane.mass[i];
      }
    }
    seen_->push_back(mass);
    return CachePolicy::PlanLeaving(chunk, state);
  }
  MethodCost cost() const override { return {}; }
  std::unique_ptr<CachePolicy> Clone() const override {
    return std::make_unique<MassWatcher>(*this);
  }

 private:
  std::vector<std::vector<float>>* seen_;
};

TEST(CacheStats, AttentionMassIsThatOfEveryHeadUpToTheBlockAfterWhichTheChunkLeaves) {
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 10, 4);
  std::vector<std::vector<float>> seen;
  auto cache = MakeCache(g, SmallConfig("full"), std::make_unique<MassWatcher>(&seen));
  RunEpisode(*cache, e);
  ASSERT_EQ(seen.size(), 1u);
  ASSERT_EQ(seen[0].size(), 1u);
  EXPECT_NEAR(seen[0][0], PlainMass(g, e, 10, 4)[0], 1e-3);
}

}  // namespace
}  // namespace kvla
