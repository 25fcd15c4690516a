#include "kv_efficient/cost_model.h"

#include "tests/kv_efficient/episodes.h"

namespace kvla {
namespace {

TEST(CostModel, PaperFormulas) {
  // 1.87x less memory means that 53.5% is kept, whichever way it comes about.
  EXPECT_NEAR(1 / 1.87, 0.535, 5e-4);
  const double n = 1000, w = 200;
  const double rho = (0.535 * n - w) / (n - w);  // whole chunks
  EXPECT_NEAR(PaperMemoryRatio(n, w, rho, 1), 1.87, 5e-3);
  EXPECT_NEAR(PaperMemoryRatio(n, w, 1, rho), 1.87, 5e-3);  // or all of them, compressed
  EXPECT_NEAR(PaperRetainedTokens(n, w, rho, 1), 535, 1e-9);
  EXPECT_EQ(PaperRetainedTokens(100, w, 0, 0), 100);  // within the window
  EXPECT_NEAR(PaperFlopsSaved(1 / (1 - 0.246)), 0.246, 1e-12);
  EXPECT_NEAR(PaperFlopsSaved(1.33), 0.246, 3e-3);
}

TEST(CostModel, BytesEqualWhatTheCacheHolds) {
  const CacheGeometry g = SmallGeometry();
  auto cache = MakeCache(g, SmallConfig("full"));
  RunEpisode(*cache, MakeEpisode(g, 41, 1));
  EXPECT_EQ(cache->stats().tokens, 2 + 41 * 3);
  EXPECT_EQ(cache->stats().live_bytes, KvBytes(g, cache->stats().tokens));
  EXPECT_EQ(KvBytes(g, 1), 2 * 2 * 2 * 16 * 4);
}

TEST(CostModel, CachedTokensFollowTheFormula) {
  // A method that compresses everything: T = I + W' + (N - W') / C with the window as it stands.
  const CacheGeometry g = SmallGeometry();
  const CacheConfig c = SmallConfig("mean_pool");
  auto cache = MakeCache(g, c);
  RunEpisode(*cache, MakeEpisode(g, 70, 1));
  const double n = 70 * 3, w = n - BlockSchedule(c).NearBegin(70) * 3;
  EXPECT_EQ(cache->stats().tokens, 2 + PaperRetainedTokens(n, w, 1, 1.0 / c.chunk_blocks));
}

TEST(CostModel, FlopsByHand) {
  CacheGeometry g = SmallGeometry();  // 2 layers, 4 heads, 2 KV heads, 16 wide
  const FlopParts f = InferenceFlops(g, {.width = 32, .mlp_width = 80}, 3, 100, 7, 11);
  const double weights = 32 * 64 + 2 * 32 * 32 + 64 * 32 + 3 * 32 * 80;
  EXPECT_DOUBLE_EQ(f.linear, 2 * weights * 3 * 2);
  EXPECT_DOUBLE_EQ(f.attention, 2.0 * 2 * 4 * 16 * 3 * 100 * 2);  // q.k and p.v
  EXPECT_DOUBLE_EQ(f.total(), f.linear + f.attention + 18);
}

TEST(CostModel, LatencyIsWhatARooflineSays) {
  VlaCost cost;
  cost.fixed_ms = 0;
  // Llama 2 7B: 6.48e9 weights in its blocks, half a megabyte of keys and values a token.
  const double weights = 32.0 * (4 * 4096.0 * 4096 + 3 * 4096.0 * 11008);
  cost.decode_passes = 0;
  cost.tokens_per_block = 1;
  cost.encoder_gflops = 0;
  EXPECT_NEAR(InferenceSeconds(cost, 0, false), 2 * weights / 800e9, 1e-9);
  EXPECT_NEAR(InferenceSeconds(cost, 1e4, false) - InferenceSeconds(cost, 0, false),
              1e4 * 2 * 32 * 32 * 128 * 2 / 800e9, 1e-9);
  // A whole block is bound by arithmetic.
  cost.tokens_per_block = 256;
  EXPECT_NEAR(InferenceSeconds(cost, 0, false), 2 * weights * 256 / 80e12, 1e-6);
  const double block = InferenceSeconds(cost, 0, false);
  cost.decode_passes = 7;
  EXPECT_NEAR(InferenceSeconds(cost, 0, false) - block, 7 * 2 * weights / 800e9, 1e-6);
  cost.fixed_ms = 12;
  EXPECT_NEAR(InferenceSeconds(cost, 0, false) - block, 7 * 2 * weights / 800e9 + 0.012, 1e-6);
  EXPECT_GT(InferenceSeconds(cost, 0, true), InferenceSeconds(cost, 0, false));
}

}  // namespace
}  // namespace kvla
