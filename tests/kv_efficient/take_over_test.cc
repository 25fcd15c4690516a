// SPDX-License-Identifier: Apache-2.0
// Old chunks of another episode's cache in the place of one's own.
#include <algorithm>

#include "tests/kv_efficient/episodes.h"

namespace kvla {
namespace {

constexpr int kBlocks = 27;  // five chunks of four have left a window of six

// `a` but for the rows of these chunks, which are `b`'s.
Episode Mixed(const CacheGeometry& g, const Episode& a, const Episode& b,
              const std::vector<int>& chunks, int chunk_blocks) {
  Episode mixed = a;
  const int64_t rows = int64_t{chunk_blocks} * g.tokens_per_block;
  for (int layer = 0; layer < g.layers; ++layer) {
    for (const auto part : {&Episode::k, &Episode::v}) {
      at::Tensor& into = (mixed.*part)[layer];
      into = into.clone();
      for (const int chunk : chunks) {
        const int64_t at = g.instruction_tokens + chunk * rows;
        into.narrow(1, at, rows).copy_((b.*part)[layer].narrow(1, at, rows));
      }
    }
  }
  return mixed;
}

std::unique_ptr<KvCache> RunTo(const CacheGeometry& g, const CacheConfig& c, const Episode& e,
                               int blocks) {
  std::unique_ptr<KvCache> cache = MakeCache(g, c);
  std::vector<std::vector<at::Tensor>> outputs;
  EpisodeFacts facts;
  facts.stream_key = 3;
  BeginEpisode(*cache, e, facts);
  RunBlocks(*cache, e, 0, blocks, &outputs);
  return cache;
}

// Where no content decides, the cache is bit for bit one that had seen the other's chunks itself,
// and attends as that would.
TEST(TakeOver, IsWhatACacheHoldsThatSawTheOthersChunks) {
  for (const CacheGeometry& g : PositionRules()) {
    for (const std::string storage : {"f32", "bf16", "int8", "int4"}) {
      for (const std::string method : {"full", "mean_pool", "random"}) {
        CacheConfig c = SmallConfig(method);
        c.storage = storage;
        const Episode a = MakeEpisode(g, 40, 1), b = MakeEpisode(g, 40, 2);
        const std::vector<int> chunks = {1, 3};
        const std::unique_ptr<KvCache> into = RunTo(g, c, a, kBlocks);
        const std::unique_ptr<KvCache> from = RunTo(g, c, b, kBlocks);
        const Episode mixed = Mixed(g, a, b, chunks, c.chunk_blocks);
        const std::unique_ptr<KvCache> want = RunTo(g, c, mixed, kBlocks);
        ASSERT_NE(into->store().Save(), want->store().Save());
        const Status status = into->TakeOver(*from, chunks);
        ASSERT_TRUE(status.ok()) << status.message();
        const std::string where = storage + " " + method;
        EXPECT_EQ(into->store().Save(), want->store().Save()) << where;
        EXPECT_EQ(into->stats().cost.kv_live_bytes, want->stats().cost.kv_live_bytes) << where;
        EXPECT_TRUE(into->TakeChangedDecisions().empty());
        std::vector<std::vector<at::Tensor>> got, expected;
        RunBlocks(*into, a, kBlocks, 40, &got);
        RunBlocks(*want, a, kBlocks, 40, &expected);
        EXPECT_TRUE(torch::equal(Joined(got), Joined(expected))) << where;
      }
    }
  }
}

std::vector<FarToken> Of(const KvCache& cache, int layer, int head, int chunk) {
  std::vector<FarToken> tokens;
  for (const FarToken& token : cache.store().far(layer, head)) {
    if (token.chunk == chunk) tokens.push_back(token);
  }
  return tokens;
}

// A method that looks at content keeps other chunks of another episode.
TEST(TakeOver, WhatTheOtherDroppedIsGoneAndWhatItKeptComesBack) {
  const CacheGeometry g = SmallGeometry();
  CacheConfig c = SmallConfig("knorm");
  c.budget_chunks = 2;
  const Episode a = MakeEpisode(g, 40, 4), b = MakeEpisode(g, 40, 5);
  const std::unique_ptr<KvCache> into = RunTo(g, c, a, kBlocks), from = RunTo(g, c, b, kBlocks);
  const std::vector<int> all = {0, 1, 2, 3, 4};
  ASSERT_NE(into->HeldChunks(), from->HeldChunks());
  ASSERT_EQ(into->HeldChunks().size(), 2U);
  ASSERT_TRUE(into->TakeOver(*from, all).ok());
  EXPECT_EQ(into->HeldChunks(), from->HeldChunks());
  for (const int chunk : all) {
    EXPECT_EQ(into->chunks()[chunk].decision.action, from->chunks()[chunk].decision.action);
    EXPECT_EQ(Of(*into, 1, 1, chunk).size(), Of(*from, 1, 1, chunk).size());
  }
  const auto [keys, values] = into->store().FarRows(1, 0);
  const auto [other_keys, other_values] = from->store().FarRows(1, 0);
  const int64_t n = g.instruction_tokens;
  EXPECT_TRUE(torch::equal(keys.narrow(0, n, keys.size(0) - n),
                           other_keys.narrow(0, n, other_keys.size(0) - n)));
  EXPECT_TRUE(torch::equal(keys.narrow(0, 0, n), a.k[1][0].narrow(0, 0, n)));
  // What is saved then is a cache's, and it goes on within its budget.
  const std::unique_ptr<KvCache> copy = MakeCache(g, c);
  const Status restored = copy->Restore(into->Save());
  ASSERT_TRUE(restored.ok()) << restored.message();
  std::vector<std::vector<at::Tensor>> outputs, of_copy;
  RunBlocks(*into, a, kBlocks, 40, &outputs);
  RunBlocks(*copy, a, kBlocks, 40, &of_copy);
  EXPECT_TRUE(torch::equal(Joined(outputs), Joined(of_copy)));
  EXPECT_LE(into->HeldChunks().size(), 2U);
}

TEST(TakeOver, RefusesWhatWouldNotFit) {
  const CacheGeometry g = SmallGeometry();
  const CacheConfig full = SmallConfig("full");
  const Episode a = MakeEpisode(g, 40, 1), b = MakeEpisode(g, 40, 2);
  const std::unique_ptr<KvCache> into = RunTo(g, full, a, kBlocks);
  const auto refused = [&](KvCache& cache, const KvCache& from, const std::vector<int>& chunks,
                           const std::string& why) {
    const std::vector<uint8_t> before = cache.Save();
    const Status status = cache.TakeOver(from, chunks);
    EXPECT_EQ(status.code(), StatusCode::kBadInput) << why;
    EXPECT_NE(status.message().find(why), std::string::npos) << status.message();
    EXPECT_EQ(cache.Save(), before) << why;
  };
  refused(*into, *RunTo(g, full, b, kBlocks), {5}, "have left the window are 0 to 4");
  refused(*into, *RunTo(g, full, b, kBlocks), {-1}, "have left the window are 0 to 4");
  refused(*into, *RunTo(g, full, b, kBlocks + 1), {1}, "at the same block");
  refused(*into, *RunTo(g, SmallConfig("window"), b, kBlocks), {1}, "both must be one method");
  CacheGeometry clamp = g;
  clamp.age_clamp_blocks = 0;
  refused(*into, *RunTo(clamp, full, b, kBlocks), {1}, "the same geometry");
  CacheConfig packed = full;
  packed.storage = "int8";
  refused(*into, *RunTo(g, packed, b, kBlocks), {1}, "the same geometry and storage");
  CacheConfig attended = SmallConfig("h2o");
  attended.budget_tokens = 12;
  const std::unique_ptr<KvCache> h2o = RunTo(g, attended, a, kBlocks);
  refused(*h2o, *RunTo(g, attended, b, kBlocks), {1}, "does not go by the attention");
  EXPECT_TRUE(RunTo(g, SmallConfig("window"), a, kBlocks)->HeldChunks().empty());
}

}  // namespace
}  // namespace kvla
