// SPDX-License-Identifier: Apache-2.0
#include "tests/kv_efficient/episodes.h"

namespace kvla {
namespace {

TEST(Novelty, ScoreIsTheDistanceOfTheMeanBlocks) {
  CacheConfig c = SmallConfig("novelty");
  c.budget_chunks = 2;
  const CacheGeometry g = SmallGeometry();
  auto policy = MakeCachePolicy(c, g);
  ASSERT_TRUE(policy.ok()) << policy.status().message();
  const at::Tensor values =
      torch::ones({g.layers, g.kv_heads, int64_t{4} * g.tokens_per_block, g.head_dim});
  const auto score = [&](int chunk, const at::Tensor& v) {
    return (*policy)->Score({.chunk = chunk, .blocks = 4, .keys = v, .values = v});
  };
  EXPECT_EQ(score(0, values), 0);  // the first is like nothing
  EXPECT_EQ(score(1, values), 0);
  at::Tensor other = values.clone();
  other.select(3, 0).add_(3);
  other.select(3, 1).add_(4);
  EXPECT_FLOAT_EQ(score(2, other), 5);
  EXPECT_FLOAT_EQ(score(3, values), 5);  // going back is as new
  // What passes within a block in four counts for a quarter.
  at::Tensor brief = values.clone();
  brief.narrow(2, 0, g.tokens_per_block).select(3, 0).add_(4);
  EXPECT_FLOAT_EQ(score(4, brief), 1);
  (*policy)->Reset({});
  EXPECT_EQ(score(0, other), 0);
}

TEST(Novelty, KeepsTheChunksThatDifferFromTheOneBefore) {
  const CacheGeometry g = SmallGeometry();
  CacheConfig c = SmallConfig("novelty");
  c.budget_chunks = 2;
  Episode e = MakeEpisode(g, 60, 5);
  const int64_t tokens = int64_t{c.chunk_blocks} * g.tokens_per_block;
  for (at::Tensor& values : e.v) {
    // Chunk 6 alone is far off: it and its return are new.
    values.narrow(1, g.instruction_tokens + 6 * tokens, tokens).add_(10);
  }
  auto cache = MakeCache(g, c);
  RunEpisode(*cache, e);
  for (int chunk = 0; chunk < 13; ++chunk) {
    const bool kept = chunk == 6 || chunk == 7;
    EXPECT_EQ(cache->chunks()[chunk].decision.action,
              kept ? ChunkAction::kWhole : ChunkAction::kDropped)
        << chunk;
  }
}

TEST(Novelty, AStateOfAnotherSizeIsRefused) {
  CacheConfig c = SmallConfig("novelty");
  c.budget_chunks = 2;
  auto policy = MakeCachePolicy(c, SmallGeometry());
  ASSERT_TRUE(policy.ok());
  const std::vector<uint8_t> bytes(12, 1);
  EXPECT_EQ((*policy)->RestoreState(bytes).code(), StatusCode::kBadInput);
  EXPECT_TRUE((*policy)->RestoreState({}).ok());
}

}  // namespace
}  // namespace kvla
