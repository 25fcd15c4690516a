// SPDX-License-Identifier: Apache-2.0
#include <numeric>
#include <set>

#include "tests/kv_efficient/episodes.h"

namespace kvla {
namespace {

CacheConfig QuestConfig(int read_chunks, const std::string& storage = "f32") {
  CacheConfig c = SmallConfig("quest");
  c.read_chunks = read_chunks;
  c.storage = storage;
  return c;
}

TEST(Quest, ThatReadsEverythingIsFull) {
  for (const CacheGeometry& g : PositionRules()) {
    for (const char* storage : {"f32", "int8"}) {
      const Episode e = MakeEpisode(g, 50, 3);
      CacheConfig full = SmallConfig("full");
      full.storage = storage;
      auto want = MakeCache(g, full), got = MakeCache(g, QuestConfig(100, storage));
      EXPECT_LT(MaxDifference(RunEpisode(*want, e), RunEpisode(*got, e)), 1e-5) << storage;
    }
  }
}

// The chunks that one KV head's queries of a block may read, by the definition.
std::set<int> Chosen(const CacheGeometry& g, const Episode& e, int layer, int head, int block,
                     int left, int most) {
  const RotaryTable rotary = TableFor(g);
  const int t = g.tokens_per_block, chunk_tokens = 4 * t;
  const auto turned = [&](const at::Tensor& x, int64_t position) {
    const at::Tensor at = torch::tensor({position});
    return Rotate(x, rotary.Cos(at), rotary.Sin(at));
  };
  const at::Tensor q = turned(e.q[layer]
                                  .narrow(0, head * g.group(), g.group())
                                  .narrow(1, int64_t{block} * t, t)
                                  .flatten(0, 1),
                              g.clamps() ? g.age_clamp_blocks : block);
  std::vector<std::pair<double, int>> scores;
  for (int chunk = 0; chunk < left; ++chunk) {
    std::vector<at::Tensor> keys;
    for (int i = 0; i < chunk_tokens; ++i) {
      const int64_t row = g.instruction_tokens + chunk * chunk_tokens + i;
      const at::Tensor key = e.k[layer][head].narrow(0, row, 1);
      keys.push_back(g.clamps() ? key : turned(key, chunk * 4 + i / t));
    }
    const at::Tensor all = torch::cat(keys);
    const at::Tensor low = std::get<0>(all.min(0)), high = std::get<0>(all.max(0));
    scores.emplace_back(torch::maximum(q * low, q * high).sum(1).max().item<double>(), chunk);
  }
  std::ranges::sort(scores, std::greater<>());
  std::set<int> chosen;
  for (int i = 0; i < std::min(most, left); ++i) chosen.insert(scores[i].second);
  return chosen;
}

TEST(Quest, ReadsTheChunksWhoseRangesPromiseMost) {
  for (const CacheGeometry& g : PositionRules()) {
    const Episode e = MakeEpisode(g, 50, 3);
    auto cache = MakeCache(g, QuestConfig(3));
    const at::Tensor got = RunEpisode(*cache, e);
    const RotaryTable rotary = TableFor(g);
    const int t = g.tokens_per_block, n = g.instruction_tokens;
    std::set<std::set<int>> seen;
    for (const int block : {30, 49}) {
      const BlockSchedule schedule = QuestConfig(3).schedule();
      const int left = schedule.LeftChunks(block), near = schedule.NearBegin(block);
      for (int layer = 0; layer < g.layers; ++layer) {
        for (int head = 0; head < g.kv_heads; ++head) {
          const std::set<int> chosen = Chosen(g, e, layer, head, block, left, 3);
          seen.insert(chosen);
          std::vector<int64_t> rows, ages;
          const auto read = [&](int64_t row, int64_t place, bool far) {
            rows.push_back(row);
            ages.push_back(far && g.clamps() ? g.age_clamp_blocks : block - place);
          };
          for (int i = 0; i < n; ++i) read(i, 0, true);
          for (int i = 0; i < (block + 1) * t; ++i) {
            const bool far = i / t < near;
            if (!far || chosen.contains(i / (4 * t))) read(n + i, i / t, far);
          }
          // The key turned back by its distance in place of the query.
          const at::Tensor index = torch::tensor(rows), age = torch::tensor(ages);
          const at::Tensor k =
              Rotate(e.k[layer][head].index_select(0, index), rotary.Cos(age), -rotary.Sin(age));
          const at::Tensor q =
              e.q[layer].narrow(0, head * g.group(), g.group()).narrow(1, int64_t{block} * t, t);
          const at::Tensor p =
              (torch::matmul(q, k.t()) / std::sqrt(static_cast<double>(g.head_dim))).softmax(2);
          const at::Tensor want = torch::matmul(p, e.v[layer][head].index_select(0, index));
          EXPECT_LT(MaxDifference(got[layer]
                                      .narrow(0, head * g.group(), g.group())
                                      .narrow(1, int64_t{block} * t, t),
                                  want),
                    1e-5)
              << block << " " << layer << " " << head;
        }
      }
    }
    EXPECT_GT(seen.size(), 2U);  // heads and blocks choose for themselves
  }
}

TEST(Quest, HoldsWhatFullHoldsAndReadsLess) {
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 50, 3);
  auto full = MakeCache(g, SmallConfig("full")), quest = MakeCache(g, QuestConfig(3));
  RunEpisode(*full, e);
  quest->ReportAttention(true);
  RunEpisode(*quest, e);
  const InferenceCost &all = full->stats().cost, &few = quest->stats().cost;
  EXPECT_EQ(few.kv_live_bytes, all.kv_live_bytes);
  EXPECT_EQ(few.cached_tokens, all.cached_tokens);
  // The instruction, three chunks, and the window of 6 blocks that has grown by 4.
  EXPECT_EQ(few.attended_tokens, 2 + 3 * 12 + 10 * 3);
  EXPECT_EQ(all.attended_tokens, 2 + 50 * 3);
  // Ranges of 11 chunks.
  EXPECT_EQ(*few.method_bytes, int64_t{11} * g.lanes() * 2 * g.head_dim * 4);
  EXPECT_GT(quest->stats().gate_flops, 0);
  // What was not read received nothing; the rest sums to 1.
  const std::vector<float>& received = quest->received();
  const size_t row = received.size() / g.layers;
  for (int layer = 0; layer < g.layers; ++layer) {
    const auto begin = received.begin() + static_cast<ptrdiff_t>(layer * row);
    EXPECT_NEAR(std::accumulate(begin, begin + static_cast<ptrdiff_t>(row), 0.0), 1, 1e-4);
    EXPECT_GE(std::count(begin, begin + static_cast<ptrdiff_t>(row), 0.0F), 10 - 2 * 3);
  }
}

}  // namespace
}  // namespace kvla
