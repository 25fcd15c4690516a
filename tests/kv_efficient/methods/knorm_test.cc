// SPDX-License-Identifier: Apache-2.0
#include "tests/kv_efficient/episodes.h"

namespace kvla {
namespace {

// An episode in which the keys of some chunks are shorter than all others.
Episode WithShortKeys(const CacheGeometry& g, int chunk_blocks, const std::vector<int>& chunks) {
  Episode e = MakeEpisode(g, 60, 5);
  const int64_t tokens = int64_t{chunk_blocks} * g.tokens_per_block;
  for (at::Tensor& keys : e.k) {
    for (const int chunk : chunks) {
      keys.narrow(1, g.instruction_tokens + chunk * tokens, tokens).mul_(0.1);
    }
  }
  return e;
}

TEST(Knorm, KeepsTheChunksWithTheShortestKeys) {
  const CacheGeometry g = SmallGeometry();
  CacheConfig c = SmallConfig("knorm");
  c.budget_chunks = 3;
  auto cache = MakeCache(g, c);
  RunEpisode(*cache, WithShortKeys(g, c.chunk_blocks, {2, 5, 8}));
  for (int chunk = 0; chunk < 13; ++chunk) {
    const ChunkDecision& decision = cache->chunks()[chunk].decision;
    const bool kept = chunk == 2 || chunk == 5 || chunk == 8;
    EXPECT_EQ(decision.action, kept ? ChunkAction::kWhole : ChunkAction::kDropped) << chunk;
    EXPECT_EQ(decision.reason, kept ? ReasonCode::kWithinBudget : ReasonCode::kOverBudget) << chunk;
    EXPECT_LT(decision.score, 0);
  }
}

TEST(Knorm, ScoreIsMinusTheMeanNorm) {
  CacheConfig c = SmallConfig("knorm");
  c.budget_chunks = 1;
  auto policy = MakeCachePolicy(c, SmallGeometry());
  ASSERT_TRUE(policy.ok()) << policy.status().message();
  const at::Tensor keys = torch::zeros({2, 2, 12, 16});
  keys.select(3, 0).fill_(3);
  keys.select(3, 1).fill_(4);
  EXPECT_FLOAT_EQ((*policy)->Score({.blocks = 4, .keys = keys, .values = keys}), -5);
}

}  // namespace
}  // namespace kvla
