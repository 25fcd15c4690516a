// SPDX-License-Identifier: Apache-2.0
// Blocks whose tokens do not all see each other, and queries that leave nothing behind.
#include <cmath>

#include "tests/kv_efficient/every_method.h"

namespace kvla {
namespace {

constexpr int kBlocks = 14;  // of a window of 6: two chunks have left

struct BlockRows {
  at::Tensor q, k, v;
};

BlockRows RowsOfBlock(const CacheGeometry& g, const Episode& e, int layer, int block) {
  const int64_t t = g.tokens_per_block, key = g.instruction_tokens + block * t;
  return {e.q[layer].narrow(1, block * t, t), e.k[layer].narrow(1, key, t),
          e.v[layer].narrow(1, key, t)};
}

// Of the last block alone, by layer, [heads, T, head_dim]; the others see each other.
std::vector<at::Tensor> LastBlock(KvCache& cache, const Episode& e, std::vector<int> segments) {
  const CacheGeometry& g = cache.geometry();
  std::vector<std::vector<at::Tensor>> before;
  BeginEpisode(cache, e);
  RunBlocks(cache, e, 0, e.blocks - 1, &before);
  EXPECT_TRUE(cache.BeginBlock().ok());
  std::vector<at::Tensor> out;
  for (int layer = 0; layer < g.layers; ++layer) {
    const BlockRows rows = RowsOfBlock(g, e, layer, e.blocks - 1);
    out.push_back(cache.Attend(layer, rows.q, rows.k, rows.v, segments).clone());
  }
  EXPECT_TRUE(cache.EndBlock().ok());
  return out;
}

class SegmentsTest : public testing::TestWithParam<const char*> {
 protected:
  CacheConfig Config(const std::string& policy) const {
    CacheConfig c = SmallConfig(policy);
    c.storage = GetParam();
    return c;
  }
};

TEST_P(SegmentsTest, TheLastRunSeesAllAndTheOthersWhatCameBefore) {
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, kBlocks, 5);
  Episode other = e;  // its last token is another one
  for (int layer = 0; layer < g.layers; ++layer) {
    for (at::Tensor* x : {&other.k[layer], &other.v[layer]}) {
      *x = x->clone();
      x->narrow(1, x->size(1) - 1, 1).mul_(-3);
    }
  }
  auto cache = MakeCache(g, Config("full"));
  const std::vector<at::Tensor> whole = LastBlock(*cache, e, {3});
  const std::vector<at::Tensor> parts = LastBlock(*cache, e, {2, 1});
  LastBlock(*cache, e, {1, 1, 1});  // the first sees two less, the second one
  EXPECT_EQ(cache->stats().cost.attended_tokens, 2 + kBlocks * 3 - 1);
  const std::vector<at::Tensor> changed = LastBlock(*cache, other, {2, 1});
  for (int layer = 0; layer < g.layers; ++layer) {
    EXPECT_TRUE(torch::equal(whole[layer].narrow(1, 2, 1), parts[layer].narrow(1, 2, 1)));
    EXPECT_FALSE(torch::equal(whole[layer].narrow(1, 0, 2), parts[layer].narrow(1, 0, 2)));
    EXPECT_TRUE(torch::equal(parts[layer].narrow(1, 0, 2), changed[layer].narrow(1, 0, 2)));
    EXPECT_FALSE(torch::equal(parts[layer].narrow(1, 2, 1), changed[layer].narrow(1, 2, 1)));
  }
}

TEST_P(SegmentsTest, AQueryOfTheBlocksOwnQueriesIsItsAttention) {
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, kBlocks, 6);
  auto cache = MakeCache(g, Config("full"));
  std::vector<std::vector<at::Tensor>> before;
  BeginEpisode(*cache, e);
  RunBlocks(*cache, e, 0, kBlocks - 1, &before);
  ASSERT_TRUE(cache->BeginBlock().ok());
  for (int layer = 0; layer < g.layers; ++layer) {
    const BlockRows rows = RowsOfBlock(g, e, layer, kBlocks - 1);
    const at::Tensor want = cache->Attend(layer, rows.q, rows.k, rows.v).clone();
    const at::Tensor twice = torch::cat({rows.q, rows.q}, 1);
    const AttendedRows got = cache->Query(layer, twice);
    EXPECT_TRUE(torch::equal(got.out.narrow(1, 0, 3), want));
    EXPECT_TRUE(torch::equal(got.out.narrow(1, 3, 3), want));
    EXPECT_TRUE(cache->Query(layer, rows.q.narrow(1, 1, 1)).out.equal(want.narrow(1, 1, 1)));
    // A query of zeros gives every key the same share.
    const at::Tensor flat = cache->Query(layer, torch::zeros_like(rows.q)).log_sum_exp;
    EXPECT_LT((flat - std::log(2 + kBlocks * 3)).abs().max().item<double>(), 1e-5);
  }
  ASSERT_TRUE(cache->EndBlock().ok());
}

INSTANTIATE_TEST_SUITE_P(Storage, SegmentsTest, testing::Values("f32", "bf16", "int8", "int4"),
                         [](const auto& info) { return std::string(info.param); });

// The history is appended without anyone's attending to it; the last block sees the same.
TEST_P(SegmentsTest, ABlockThatNobodyAsksForIsHeldAllTheSame) {
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, kBlocks, 8);
  auto cache = MakeCache(g, Config("full")), unasked = MakeCache(g, Config("full"));
  const std::vector<at::Tensor> want = LastBlock(*cache, e, {3});
  BeginEpisode(*unasked, e);
  for (int block = 0; block < kBlocks; ++block) {
    ASSERT_TRUE(unasked->BeginBlock().ok());
    for (int layer = 0; layer < g.layers; ++layer) {
      const BlockRows rows = RowsOfBlock(g, e, layer, block);
      const bool last = block == kBlocks - 1;
      const at::Tensor out =
          unasked->Attend(layer, last ? rows.q : rows.q.narrow(1, 0, 0), rows.k, rows.v);
      if (last) {
        EXPECT_TRUE(torch::equal(out, want[layer]));
      } else {
        EXPECT_EQ(out.size(1), 0);
      }
    }
    ASSERT_TRUE(unasked->EndBlock().ok());
  }
}

TEST(Segments, QueriesLeaveNothingBehind) {
  const ScratchDir folder;
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, kBlocks, 7);
  for (const CacheConfig& config : EveryMethod(folder, g)) {
    SCOPED_TRACE(config.policy);
    auto plain = MakeCache(g, config);
    RunEpisode(*plain, e);
    auto asked = MakeCache(g, config);
    BeginEpisode(*asked, e);
    for (int block = 0; block < kBlocks; ++block) {
      ASSERT_TRUE(asked->BeginBlock().ok());
      for (int layer = 0; layer < g.layers; ++layer) {
        const BlockRows rows = RowsOfBlock(g, e, layer, block);
        asked->Attend(layer, rows.q, rows.k, rows.v);
        asked->Query(layer, torch::randn({g.heads, 5, g.head_dim}));
      }
      ASSERT_TRUE(asked->EndBlock().ok());
    }
    EXPECT_EQ(asked->Save(), plain->Save());
    EXPECT_EQ(asked->stats().cost.attended_tokens, plain->stats().cost.attended_tokens);
  }
}

TEST(Segments, WhatDoesNotAddUpOrComesTooEarlyIsRefused) {
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 1, 8);
  auto cache = MakeCache(g, SmallConfig("full"));
  BeginEpisode(*cache, e);
  const BlockRows rows = RowsOfBlock(g, e, 0, 0);
  EXPECT_THROW(cache->Query(0, rows.q), c10::Error);
  ASSERT_TRUE(cache->BeginBlock().ok());
  const std::vector<std::vector<int>> wrong = {{}, {2}, {2, 2}, {3, 0}, {4, -1}, {1, 1, 1, 1}};
  for (const std::vector<int>& segments : wrong) {
    EXPECT_THROW(cache->Attend(0, rows.q, rows.k, rows.v, segments), c10::Error);
  }
  cache->Attend(0, rows.q, rows.k, rows.v, std::vector<int>{1, 1, 1});
  EXPECT_THROW(cache->Query(0, rows.k), c10::Error);
}

}  // namespace
}  // namespace kvla
