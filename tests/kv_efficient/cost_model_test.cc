// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/cost_model.h"

#include "tests/kv_efficient/episodes.h"

namespace kvla {
namespace {

// The paper's retained length, W + rho * (N - W) * r, for a history of n >= w tokens: rho is the
// share of old tokens retained, r the tokens stored for each of them. n < w: n.
double PaperRetainedTokens(double n, double w, double rho, double r) {
  return n <= w ? n : w + rho * (n - w) * r;
}

TEST(CostModel, BytesEqualWhatTheCacheHolds) {
  const CacheGeometry g = SmallGeometry();
  auto cache = MakeCache(g, SmallConfig("full"));
  RunEpisode(*cache, MakeEpisode(g, 41, 1));
  EXPECT_EQ(cache->stats().cost.cached_tokens, 2 + 41 * 3);
  EXPECT_EQ(cache->stats().cost.kv_live_bytes, KvBytes(g, cache->stats().cost.cached_tokens));
  EXPECT_EQ(KvBytes(g, 1), 2 * 2 * 2 * 16 * 4);
}

TEST(CostModel, CachedTokensFollowTheFormula) {
  // A method that compresses everything: T = I + W' + (N - W') / C with the window as it stands.
  const CacheGeometry g = SmallGeometry();
  const CacheConfig c = SmallConfig("mean_pool");
  auto cache = MakeCache(g, c);
  RunEpisode(*cache, MakeEpisode(g, 70, 1));
  const double n = 70 * 3, w = n - c.schedule().NearBegin(70) * 3;
  EXPECT_EQ(cache->stats().cost.cached_tokens,
            2 + PaperRetainedTokens(n, w, 1, 1.0 / c.chunk_blocks));
}

TEST(CostModel, FlopsByHand) {
  CacheGeometry g = SmallGeometry();  // 2 layers, 4 heads, 2 KV heads, 16 wide
  FlopParts f = DecoderFlops(g, {.width = 32, .mlp_width = 80}, 3, 100);
  const double weights = 32 * 64 + 2 * 32 * 32 + 64 * 32 + 3 * 32 * 80;
  EXPECT_DOUBLE_EQ(f.linear, 2 * weights * 3 * 2);
  EXPECT_DOUBLE_EQ(f.attention, 2.0 * 2 * 4 * 16 * 3 * 100 * 2);  // q.k and p.v
  EXPECT_EQ(f.encode + f.heads + f.gate, 0);
  f.encode = 7, f.heads = 4, f.gate = 11;
  EXPECT_DOUBLE_EQ(f.total(), f.linear + f.attention + 22);
}

TEST(CostModel, LatencyIsWhatARooflineSays) {
  VlaCost cost;
  cost.fixed_ms = 0;
  // Llama 2 7B: 6.48e9 weights in its blocks, half a megabyte of keys and values a token.
  const double weights = 32.0 * (4 * 4096.0 * 4096 + 3 * 4096.0 * 11008);
  cost.decode_passes = 0;
  cost.tokens_per_block = 1;
  cost.encoder_gflops = 0;
  EXPECT_NEAR(InferenceSeconds(cost, 0, 0), 2 * weights / 800e9, 1e-9);
  EXPECT_NEAR(InferenceSeconds(cost, 1e4, 0) - InferenceSeconds(cost, 0, 0),
              1e4 * 2 * 32 * 32 * 128 * 2 / 800e9, 1e-9);
  // A whole block is bound by arithmetic.
  cost.tokens_per_block = 256;
  EXPECT_NEAR(InferenceSeconds(cost, 0, 0), 2 * weights * 256 / 80e12, 1e-6);
  const double block = InferenceSeconds(cost, 0, 0);
  cost.decode_passes = 7;
  EXPECT_NEAR(InferenceSeconds(cost, 0, 0) - block, 7 * 2 * weights / 800e9, 1e-6);
  cost.fixed_ms = 12;
  EXPECT_NEAR(InferenceSeconds(cost, 0, 0) - block, 7 * 2 * weights / 800e9 + 0.012, 1e-6);
}

TEST(CostModel, TheGateReadsAChunkAndItsOwnWeightsWhenTheChunkLeaves) {
  VlaCost cost;
  const double none = InferenceSeconds(cost, 5000, 0);
  // Half a megabyte of keys and values a token: memory traffic decides.
  const double features = 2.0 * 32 * 32 * 128;
  const double weights = 64 * features + 64 * 64 + 2 * 64 * 64 + 8 * 64 * 64 + 64;
  EXPECT_NEAR(InferenceSeconds(cost, 5000, 1024) - none, 2 * (1024 * features + weights) / 800e9,
              1e-12);
  // On a device that computes slowly its arithmetic does.
  cost.tflops = 0.001;
  const double slow = InferenceSeconds(cost, 5000, 0);
  EXPECT_NEAR(InferenceSeconds(cost, 5000, 1024) - slow,
              2 * (1024 * (64 * features + 64 * 64) + 10 * 64 * 64 + 64) / 1e9, 1e-6);
}

TEST(CostModel, TheRegimeOfAVla) {
  const VlaCost cost;  // Llama 2 7B in two bytes a value
  EXPECT_DOUBLE_EQ(WeightBytes(cost), 2 * 32.0 * (4 * 4096.0 * 4096 + 3 * 4096.0 * 11008));
  EXPECT_DOUBLE_EQ(KvBytes(cost, 1000.0), 1000 * 2.0 * 32 * 32 * 128 * 2);
}

}  // namespace
}  // namespace kvla
