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

}  // namespace
}  // namespace kvla
