// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "tests/kv_efficient/episodes.h"

namespace kvla {
namespace {

// chunk 4 blocks of 3 tokens; a budget of 20 tokens has room for the means of 2 chunks.
CacheConfig Config(int budget) {
  CacheConfig c = SmallConfig("streammem");
  c.budget_tokens = budget;
  return c;
}

// By chunk: originals, means.
std::map<int, std::pair<std::set<int>, std::set<int>>> Held(const KvCache& cache, int lane) {
  std::map<int, std::pair<std::set<int>, std::set<int>>> held;
  const int heads = cache.geometry().kv_heads;
  for (const FarToken& t : cache.store().far(lane / heads, lane % heads)) {
    if (t.chunk < 0) continue;
    auto& of = held[t.chunk];
    (t.original() ? of.first : of.second).insert(t.offset);
  }
  return held;
}

TEST(StreamMem, HoldsTheMeansOfTheNewestFramesAndTokensUpToTheBudget) {
  for (const CacheGeometry& g : PositionRules()) {
    auto cache = MakeCache(g, Config(20));
    const Episode e = MakeEpisode(g, 50, 3);
    RunEpisode(*cache, e);
    const int left = cache->schedule().LeftChunks(50);
    for (int lane = 0; lane < g.lanes(); ++lane) {
      size_t tokens = 0, means = 0;
      for (const auto& [chunk, of] : Held(*cache, lane)) {
        tokens += of.first.size();
        means += of.second.size();
        if (of.second.empty()) continue;
        EXPECT_GE(chunk, left - 2);
        EXPECT_EQ(of.second, (std::set<int>{0, 1, 2, 3}));
      }
      EXPECT_EQ(means, 8u) << "lane " << lane;
      EXPECT_EQ(tokens, 12u) << "lane " << lane;
    }
  }
}

// The mean of the newest chunk's frames, as attention reads it.
TEST(StreamMem, AMeanIsThatOfTheFramesKeysAndValues) {
  for (const char* storage : {"f32", "bf16"}) {
    for (const CacheGeometry& g : PositionRules()) {
      CacheConfig c = Config(20);
      c.storage = storage;
      auto cache = MakeCache(g, c);
      const Episode e = MakeEpisode(g, 50, 3);
      RunEpisode(*cache, e);
      const int chunk = cache->schedule().LeftChunks(50) - 1;
      const auto [keys, values] = cache->store().FarRows(1, 1);
      const std::vector<FarToken>& far = cache->store().far(1, 1);
      int seen = 0;
      for (size_t i = 0; i < far.size(); ++i) {
        if (far[i].original() || far[i].chunk != chunk) continue;
        const int64_t first = g.instruction_tokens + (chunk * 4 + far[i].offset) * 3;
        const auto mean = [&](const std::vector<at::Tensor>& x) {
          return x[1][1].narrow(0, first, 3).mean(0);
        };
        const double most = c.storage == "f32" ? 1e-5 : 0.03;
        const auto at = static_cast<int64_t>(i);
        EXPECT_LT((keys[at] - mean(e.k)).abs().max().item<double>(), most);
        EXPECT_LT((values[at] - mean(e.v)).abs().max().item<double>(), most);
        EXPECT_EQ(far[i].count, 3);
        EXPECT_EQ(far[i].block(), chunk * 4 + far[i].offset);
        ++seen;
      }
      EXPECT_EQ(seen, 4);
    }
  }
}

// Of the first chunk that leaves, where nothing else competes: by the attention of block 0.
TEST(StreamMem, TheFirstBlocksQueriesChoose) {
  const CacheGeometry g = SmallGeometry();
  auto cache = MakeCache(g, Config(8));  // 4 means, 4 tokens
  const Episode e = MakeEpisode(g, 10, 3);
  RunEpisode(*cache, e);
  ASSERT_EQ(cache->schedule().LeftChunks(10), 1);
  const RotaryTable rotary = TableFor(g);
  const at::Tensor clamp = torch::tensor({int64_t{g.age_clamp_blocks}});
  for (int lane = 0; lane < g.lanes(); ++lane) {
    const int layer = lane / g.kv_heads, head = lane % g.kv_heads;
    const at::Tensor q = Rotate(e.q[layer].narrow(0, 2 * head, 2).narrow(1, 0, 3),
                                rotary.Cos(clamp), rotary.Sin(clamp));
    const at::Tensor k = e.k[layer][head].narrow(0, 0, g.instruction_tokens + 12);
    const at::Tensor asked = (torch::matmul(q, k.t()) / 4).softmax(2).sum(1).sum(0);
    const at::Tensor order =
        asked.narrow(0, g.instruction_tokens, 12).argsort(0, /*descending=*/true);
    std::set<int> want;
    for (int i = 0; i < 4; ++i) want.insert(static_cast<int>(order[i].item<int64_t>()));
    EXPECT_EQ(Held(*cache, lane)[0].first, want) << "lane " << lane;
  }
}

}  // namespace
}  // namespace kvla
