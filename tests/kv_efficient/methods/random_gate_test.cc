// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/methods/learned/random_gate.h"

#include <gtest/gtest.h>

#include "kv_efficient/methods/cache_config.h"
#include "kv_efficient/methods/cache_policy.h"
#include "kv_efficient/methods/learned/chunk_gate.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

TEST(RandomGate, IsTheSameEveryTimeAndOfTheDecodersSize) {
  CacheGeometry geometry;
  geometry.layers = 2, geometry.heads = 4, geometry.kv_heads = 2, geometry.head_dim = 6;
  geometry.tokens_per_block = 3, geometry.max_blocks = 9;
  CacheConfig config;
  config.policy = "gated", config.gate = kRandomGate, config.chunk_blocks = 2;
  torch::manual_seed(1);
  const auto once = MakeCachePolicy(config, geometry);
  torch::manual_seed(2);
  const auto again = MakeCachePolicy(config, geometry);
  ASSERT_TRUE(once.ok() && again.ok()) << once.status().message();
  ChunkView chunk;
  chunk.blocks = 2;
  float last = 0;
  for (int i = 0; i < 3; ++i) {
    chunk.keys = torch::randn({2, 2, 6, 6}), chunk.values = torch::randn({2, 2, 6, 6});
    const float score = (*once)->Score(chunk);
    EXPECT_EQ(score, (*again)->Score(chunk));
    EXPECT_GT(score, 0);
    EXPECT_LT(score, 1);
    EXPECT_NE(score, last);
    last = score;
  }
  const ChunkGate same(GateShape{.features = geometry.gate_features(), .chunk_tokens = 6});
  EXPECT_EQ((*once)->cost().plan_flops, same->Flops());
}

}  // namespace
}  // namespace kvla
