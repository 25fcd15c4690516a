// SPDX-License-Identifier: Apache-2.0
// Methods that choose tokens: each against its definition written out over plain tensors, by an
// attention that knows nothing of caches.
#include <functional>
#include <set>

#include "kv_efficient/training/training_attention.h"
#include "tests/kv_efficient/episodes.h"

namespace kvla {
namespace {

using TokenSet = std::set<int>;  // of tokens of the episode, the instruction's aside

// The episode under a rule, block by block: which tokens each lane still has, and the attention
// that every token received from every block's queries.
class PlainRun {
 public:
  PlainRun(const CacheGeometry& g, const CacheConfig& c, const Episode& e)
      : g_(g), c_(c), e_(e), rotary_(TableFor(g)), held_(g.lanes()) {}

  // `score(lane, block, token)`: higher is kept; called when a chunk has left after that block.
  void Run(const std::function<double(int, int, int)>& score) {
    const int t = g_.tokens_per_block;
    const BlockSchedule schedule = c_.schedule();
    for (int block = 0; block < e_.blocks; ++block) {
      received_.emplace_back();
      for (int layer = 0; layer < g_.layers; ++layer) {
        for (int head = 0; head < g_.kv_heads; ++head) Attend(layer, head, block);
      }
      const int near = schedule.NearBegin(block + 1);
      if (near == schedule.NearBegin(block)) continue;
      for (int lane = 0; lane < g_.lanes(); ++lane) {
        std::vector<int> candidates(held_[lane].begin(), held_[lane].end());
        for (int i = schedule.NearBegin(block) * t; i < near * t; ++i) candidates.push_back(i);
        std::ranges::sort(candidates, [&](int a, int b) {
          const double x = score(lane, block, a), y = score(lane, block, b);
          return x != y ? x > y : a > b;
        });
        candidates.resize(std::min<size_t>(candidates.size(), c_.budget_tokens));
        held_[lane] = TokenSet(candidates.begin(), candidates.end());
      }
    }
  }

  const TokenSet& held(int lane) const { return held_[lane]; }
  // What `token` received in a lane from the queries of one block.
  double Received(int lane, int block, int token) const {
    const auto& of = received_[block][lane];
    const auto found = of.find(token);
    return found == of.end() ? 0 : found->second;
  }
  // [heads, N * T, D] of the layer.
  at::Tensor Output(int layer) const { return torch::cat(out_[layer], 1); }

 private:
  void Attend(int layer, int head, int block) {
    const int t = g_.tokens_per_block, n = g_.instruction_tokens, group = g_.heads / g_.kv_heads;
    const int lane = layer * g_.kv_heads + head, near = c_.schedule().NearBegin(block);
    std::vector<int64_t> far, close;
    for (int i = 0; i < n; ++i) far.push_back(i);
    for (const int token : held_[lane]) far.push_back(n + token);
    for (int token = near * t; token < (block + 1) * t; ++token) close.push_back(n + token);
    const at::Tensor q = e_.q[layer].narrow(0, head * group, group).narrow(1, block * t, t);
    const at::Tensor k = e_.k[layer][head], v = e_.v[layer][head];
    const auto turned = [&](const at::Tensor& x, const std::vector<int64_t>& positions) {
      const at::Tensor at = torch::tensor(positions, torch::kInt64);
      return Rotate(x, rotary_.Cos(at), rotary_.Sin(at));
    };
    const std::vector<int64_t> now(t, block), old(t, g_.age_clamp_blocks);
    std::vector<int64_t> at_near;
    for (const int64_t i : close) at_near.push_back((i - n) / t);
    const at::Tensor far_index = torch::tensor(far, torch::kInt64),
                     near_index = torch::tensor(close, torch::kInt64);
    const at::Tensor far_logits = torch::matmul(turned(q, old), k.index_select(0, far_index).t());
    const at::Tensor near_logits =
        torch::matmul(turned(q, now), turned(k.index_select(0, near_index), at_near).t());
    const at::Tensor p =
        (torch::cat({far_logits, near_logits}, 2) / std::sqrt(static_cast<double>(g_.head_dim)))
            .softmax(2);
    out_.resize(g_.layers);
    const at::Tensor seen =
        torch::matmul(p, v.index_select(0, torch::cat({far_index, near_index})));
    if (head == 0) {
      out_[layer].push_back(seen);
    } else {
      out_[layer].back() = torch::cat({out_[layer].back(), seen});
    }
    received_[block].resize(g_.lanes());
    const at::Tensor mass = p.sum(1).sum(0);
    far.insert(far.end(), close.begin(), close.end());
    for (size_t i = 0; i < far.size(); ++i) {
      if (far[i] >= n) {
        received_[block][lane][static_cast<int>(far[i]) - n] = mass[i].item<double>();
      }
    }
  }

  const CacheGeometry& g_;
  const CacheConfig& c_;
  const Episode& e_;
  RotaryTable rotary_;
  std::vector<TokenSet> held_;
  std::vector<std::vector<std::map<int, double>>> received_;  // by block, lane
  std::vector<std::vector<at::Tensor>> out_;                  // by layer, block
};

// The tokens among which a lane chooses after a block: what it has, and the chunk that leaves.
std::vector<int> Candidates(const PlainRun& run, const CacheGeometry& g, const CacheConfig& c,
                            int lane, int block) {
  std::vector<int> tokens(run.held(lane).begin(), run.held(lane).end());
  const int left = c.schedule().NearBegin(block);
  for (int i = left * g.tokens_per_block; i < (left + c.chunk_blocks) * g.tokens_per_block; ++i) {
    tokens.push_back(i);
  }
  return tokens;
}

using Score = std::function<double(int lane, int block, int token)>;

// Attention from the `blocks` newest blocks.
double Attention(const PlainRun& run, int lane, int newest, int blocks, int token) {
  double sum = 0;
  for (int block = std::max(0, newest - blocks + 1); block <= newest; ++block) {
    sum += run.Received(lane, block, token);
  }
  return sum;
}

struct Given {
  const PlainRun& run;
  const CacheGeometry& g;
  const CacheConfig& c;
  const Episode& e;

  int layer(int lane) const { return lane / g.kv_heads; }
  int head(int lane) const { return lane % g.kv_heads; }
};

Score H2oScore(const Given& given) {
  return [given](int lane, int block, int token) {
    return Attention(given.run, lane, block, 1000, token);
  };
}

Score TovaScore(const Given& given) {
  return [given](int lane, int block, int token) {
    double sum = 0;
    for (int head = 0; head < given.g.kv_heads; ++head) {
      sum += Attention(given.run, given.layer(lane) * given.g.kv_heads + head, block, 1, token);
    }
    return sum;
  };
}

Score SnapKvScore(const Given& given) {  // over neighbours among those that compete
  return [given](int lane, int block, int token) {
    const std::vector<int> row = Candidates(given.run, given.g, given.c, lane, block);
    const auto at = std::ranges::find(row, token) - row.begin();
    double sum = 0;
    for (auto i = std::max<ptrdiff_t>(0, at - 2); i <= std::min(at + 2, std::ssize(row) - 1); ++i) {
      sum += Attention(given.run, lane, block, 4, row[i]) / 5;
    }
    return sum;
  };
}

Score KeyDiffScore(const Given& given) {
  return [given](int lane, int block, int token) {
    const int n = given.g.instruction_tokens;
    const at::Tensor all = given.e.k[given.layer(lane)][given.head(lane)];
    const auto unit = [&](int64_t i) { return all[i] / all[i].norm(); };
    at::Tensor anchor = torch::zeros({given.g.head_dim});
    for (int i = 0; i < n; ++i) anchor += unit(i);
    for (const int i : Candidates(given.run, given.g, given.c, lane, block)) anchor += unit(n + i);
    return -unit(n + token).dot(anchor / anchor.norm()).item<double>();
  };
}

Score ExpectedAttentionScore(const Given& given) {
  return [given](int lane, int block, int token) {
    const CacheGeometry& g = given.g;
    const int layer = given.layer(lane), head = given.head(lane), group = g.heads / g.kv_heads;
    const RotaryTable rotary = TableFor(g);
    const at::Tensor position = torch::tensor({int64_t{g.age_clamp_blocks}});
    std::vector<int64_t> rows;
    for (int i = 0; i < g.instruction_tokens; ++i) rows.push_back(i);
    int64_t own = -1;
    for (const int i : Candidates(given.run, g, given.c, lane, block)) {
      if (i == token) own = std::ssize(rows);
      rows.push_back(g.instruction_tokens + i);
    }
    const at::Tensor keys =
        given.e.k[layer][head].index_select(0, torch::tensor(rows, torch::kInt64)).to(at::kDouble);
    double weight = 0;
    for (int i = 0; i < group; ++i) {
      const int64_t queries = int64_t{block + 1} * g.tokens_per_block;
      const at::Tensor q = Rotate(given.e.q[layer][head * group + i].narrow(0, 0, queries),
                                  rotary.Cos(position), rotary.Sin(position))
                               .to(at::kDouble);
      const at::Tensor mu = q.mean(0), off = q - mu;
      const at::Tensor sigma = torch::matmul(off.t(), off) / queries;
      const at::Tensor logit = torch::matmul(keys, mu) / std::sqrt(g.head_dim) +
                               (torch::matmul(keys, sigma) * keys).sum(1) / (2 * g.head_dim);
      weight += logit.softmax(0)[own].item<double>();
    }
    const at::Tensor value = given.e.v[layer][head][g.instruction_tokens + token];
    return weight * value.norm().item<double>();
  };
}

class TokenMethodsTest : public testing::TestWithParam<std::string> {};

TEST_P(TokenMethodsTest, KeepWhatTheirDefinitionKeepsAndAttendToIt) {
  const CacheGeometry g = SmallGeometry();
  CacheConfig c = SmallConfig(GetParam());
  c.budget_tokens = 10;
  const Episode e = MakeEpisode(g, 50, 3);
  PlainRun plain(g, c, e);
  const std::map<std::string, Score (*)(const Given&)> rules = {
      {"h2o", H2oScore},
      {"tova", TovaScore},
      {"snapkv", SnapKvScore},
      {"keydiff", KeyDiffScore},
      {"expected_attention", ExpectedAttentionScore}};
  plain.Run(rules.at(GetParam())({plain, g, c, e}));
  auto cache = MakeCache(g, c);
  const at::Tensor got = RunEpisode(*cache, e);
  for (int lane = 0; lane < g.lanes(); ++lane) {
    TokenSet held;
    for (const FarToken& token : cache->store().far(lane / g.kv_heads, lane % g.kv_heads)) {
      if (token.chunk >= 0) {
        held.insert(token.chunk * c.chunk_blocks * g.tokens_per_block + token.offset);
      }
    }
    EXPECT_EQ(held, plain.held(lane)) << "lane " << lane;
    EXPECT_EQ(held.size(), 10U);
  }
  for (int layer = 0; layer < g.layers; ++layer) {
    EXPECT_LT(MaxDifference(got[layer], plain.Output(layer)), 1e-5) << "layer " << layer;
  }
  // Whatever is kept beside the tokens is charged.
  EXPECT_EQ(*cache->stats().cost.method_bytes > 0, GetParam() != "keydiff");
  EXPECT_GT(cache->policy().cost().plan_flops, 0);
}

INSTANTIATE_TEST_SUITE_P(Every, TokenMethodsTest,
                         testing::Values("h2o", "tova", "snapkv", "keydiff", "expected_attention"),
                         [](const auto& info) { return info.param; });

// Pages go back whatever the lanes keep: bytes are those of the tokens that are held.
TEST(TokenMethods, FreeWhatTheyDrop) {
  const CacheGeometry g = SmallGeometry();
  CacheConfig c = SmallConfig("h2o");
  c.budget_tokens = 10;
  auto cache = MakeCache(g, c);
  RunEpisode(*cache, MakeEpisode(g, 50, 3));
  const int64_t tokens = g.instruction_tokens + 10 + 6 * g.tokens_per_block;
  EXPECT_EQ(cache->stats().cost.kv_live_bytes, 2 * g.lanes() * tokens * g.head_dim * 4);
}

TEST(ChunkKv, KeepsTheChunksThatTheNewestQueriesAttendTo) {
  const CacheGeometry g = SmallGeometry();
  CacheConfig c = SmallConfig("chunk_kv");
  c.budget_chunks = 2;
  Episode e = MakeEpisode(g, 50, 3);
  // Every query, turned by a far token's distance, asks for what the third chunk's keys say.
  for (int layer = 0; layer < g.layers; ++layer) {
    const int64_t begin = g.instruction_tokens + 2 * 12;
    e.k[layer].narrow(1, begin, 12).copy_(torch::ones({g.kv_heads, 12, g.head_dim}) * 2);
    const at::Tensor position = torch::tensor({int64_t{g.age_clamp_blocks}});
    const RotaryTable rotary = TableFor(g);
    const at::Tensor asked =
        Rotate(torch::ones({1, 1, g.head_dim}) * 2, rotary.Cos(position), -rotary.Sin(position));
    e.q[layer].copy_(asked.expand_as(e.q[layer]));
  }
  auto cache = MakeCache(g, c);
  RunEpisode(*cache, e);
  int kept = 0;
  for (const ChunkRecord& chunk : cache->chunks()) {
    kept += chunk.decision.action == ChunkAction::kWhole ? 1 : 0;
  }
  EXPECT_EQ(kept, 2);
  EXPECT_EQ(cache->chunks()[2].decision.action, ChunkAction::kWhole);
}

TEST(Periodic, KeepsChunksAtEvenDistances) {
  const CacheGeometry g = SmallGeometry();
  CacheConfig c = SmallConfig("periodic");
  c.keep_rate = 0.25;
  auto cache = MakeCache(g, c);
  RunEpisode(*cache, MakeEpisode(g, 60, 1));
  for (int chunk = 0; chunk < 13; ++chunk) {
    EXPECT_EQ(cache->chunks()[chunk].decision.action,
              chunk % 4 == 3 ? ChunkAction::kWhole : ChunkAction::kDropped)
        << chunk;
  }
}

}  // namespace
}  // namespace kvla
