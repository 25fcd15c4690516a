// SPDX-License-Identifier: Apache-2.0
// Methods that choose tokens: each against its definition written out over plain tensors, by an
// attention that knows nothing of caches.
#include "tests/kv_efficient/every_method.h"
#include "tests/kv_efficient/methods/plain_run.h"

namespace kvla {
namespace {

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
    // The next block's, or all at one distance.
    const at::Tensor position =
        torch::tensor({int64_t{g.clamps() ? g.age_clamp_blocks : block + 1}});
    std::vector<int64_t> rows, places;
    for (int i = 0; i < g.instruction_tokens; ++i) rows.push_back(i);
    places.resize(rows.size());
    int64_t own = -1;
    for (const int i : Candidates(given.run, g, given.c, lane, block)) {
      if (i == token) own = std::ssize(rows);
      rows.push_back(g.instruction_tokens + i);
      places.push_back(g.clamps() ? 0 : i / g.tokens_per_block);
    }
    const at::Tensor at = torch::tensor(places, torch::kInt64);
    const at::Tensor keys =
        Rotate(given.e.k[layer][head].index_select(0, torch::tensor(rows, torch::kInt64)),
               rotary.Cos(at), rotary.Sin(at))
            .to(at::kDouble);
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

// [tokens] of one partition: the deviation over channels, within the ranges of the next one.
at::Tensor PlainLag(const at::Tensor& x, const at::Tensor& next) {
  std::vector<double> deviations;
  for (int64_t i = 0; i < x.size(0); ++i) {
    std::vector<double> scaled;
    double mean = 0;
    for (int64_t d = 0; d < x.size(1); ++d) {
      const double low = next.select(1, d).min().item<double>();
      const double high = next.select(1, d).max().item<double>();
      scaled.push_back((x[i][d].item<double>() - low) / (high - low));
      mean += scaled.back() / static_cast<double>(x.size(1));
    }
    double sum = 0;
    for (const double y : scaled) sum += (y - mean) * (y - mean);
    deviations.push_back(std::sqrt(sum / static_cast<double>(x.size(1) - 1)));
  }
  return torch::tensor(deviations, torch::kDouble).softmax(0);
}

// Ranks stay as they were given when the next chunk left.
Score LagKvScore(const Given& given) {
  auto ranks = std::make_shared<std::map<std::pair<int, int>, double>>();  // of lane and token
  return [given, ranks](int lane, int block, int token) -> double {
    const CacheGeometry& g = given.g;
    const auto [first, end] = given.run.Leaving(block);
    if (token >= first) return 1;
    const int before = first - (end - first);
    if (token >= before && !ranks->contains({lane, token})) {
      std::vector<int64_t> partition, next;
      for (const int held : given.run.held(lane)) {
        if (held >= before) partition.push_back(g.instruction_tokens + held);
      }
      for (int i = first; i < end; ++i) next.push_back(g.instruction_tokens + i);
      const at::Tensor rows = torch::tensor(partition), rest = torch::tensor(next);
      const auto lag = [&](const std::vector<at::Tensor>& of) {
        const at::Tensor x = of[given.layer(lane)][given.head(lane)];
        return PlainLag(x.index_select(0, rows), x.index_select(0, rest));
      };
      const at::Tensor order = (lag(given.e.k) + lag(given.e.v)).argsort().argsort();
      for (size_t i = 0; i < partition.size(); ++i) {
        const int held = static_cast<int>(partition[i]) - g.instruction_tokens;
        (*ranks)[{lane, held}] = order[static_cast<int64_t>(i)].item<double>() / (end - first);
      }
    }
    return ranks->at({lane, token});
  };
}

// Half of the places go by keys, the newest quarter of the frames before all others.
Score InfiniPotVScore(const Given& given) {
  return [given](int lane, int block, int token) -> double {
    const int slots = given.g.tokens_per_block, n = given.g.instruction_tokens;
    const at::Tensor& keys = given.e.k[given.layer(lane)][given.head(lane)];
    const at::Tensor& values = given.e.v[given.layer(lane)][given.head(lane)];
    const std::vector<int> tokens = Candidates(given.run, given.g, given.c, lane, block);
    const int frames = std::max<int>(1, static_cast<int>(tokens.size()) / slots / 4);
    const int newest = tokens.back() / slots + 1 - frames;
    std::vector<std::pair<double, int>> places;
    for (const int i : tokens) {
      double sum = 0;
      int of = 0;
      for (const int j : tokens) {
        if (j / slots < newest || j % slots != i % slots) continue;
        sum += torch::cosine_similarity(keys[n + i], keys[n + j], 0).item<double>();
        ++of;
      }
      places.emplace_back(i / slots >= newest ? 10 + i : -sum / of, i);
    }
    std::ranges::sort(places, std::greater<>());
    for (int place = 0; place < given.c.budget_tokens / 2; ++place) {
      if (places[place].second == token) return 1e6;
    }
    return values[n + token].norm().item<double>();
  };
}

// The gate's MLP, or its linear map, written out.
Score WriteGateScore(const Given& given) {
  const auto file = std::make_shared<TensorFile>(*ReadSafetensors(given.c.gate));
  return [given, file](int lane, int, int token) -> double {
    const CacheGeometry& g = given.g;
    const int layer = given.layer(lane), head = given.head(lane), width = g.head_dim;
    const auto of = [&](const char* name) {
      return file->tensors.at(name)[layer][head].to(at::kDouble);
    };
    const RotaryTable rotary = TableFor(g);
    const at::Tensor position = torch::tensor({int64_t{token / g.tokens_per_block}});
    const at::Tensor key = given.e.k[layer][head].narrow(0, g.instruction_tokens + token, 1);
    const at::Tensor turned = Rotate(key, rotary.Cos(position), rotary.Sin(position));
    const auto map = [&](const char* weights, int64_t unit) {
      double sum = 0;
      for (const auto& [x, offset] : {std::pair{key, 0}, std::pair{turned, width}}) {
        const at::Tensor row = x[0].to(at::kDouble);
        const double scale = 1 / std::sqrt(row.square().mean().item<double>() + 1e-6);
        sum += scale * row.dot(of(weights).select(1, unit).narrow(0, offset, width)).item<double>();
      }
      return sum;
    };
    double out = of("out_bias")[0][0].item<double>();
    if (given.c.policy == "dms") {
      out += map("out_weight", 0);
    } else {
      for (int64_t unit = 0; unit < of("in_bias").size(1); ++unit) {
        const double sum = of("in_bias")[0][unit].item<double>() + map("in_weight", unit);
        out += sum / (1 + std::exp(-sum)) * of("out_weight")[unit][0].item<double>();
      }
    }
    return 1 / (1 + std::exp(-out));
  };
}

using Method = std::pair<std::string, std::string>;  // and whose the budget is

const std::map<std::string, Score (*)(const Given&)>& Rules() {
  static const std::map<std::string, Score (*)(const Given&)> rules = {
      {"h2o", H2oScore},
      {"tova", TovaScore},
      {"snapkv", SnapKvScore},
      {"keydiff", KeyDiffScore},
      {"expected_attention", ExpectedAttentionScore},
      {"lagkv", LagKvScore},
      {"infinipot_v", InfiniPotVScore},
      {"wg_kv", WriteGateScore},
      {"dms", WriteGateScore}};
  return rules;
}

class TokenMethodsTest : public testing::TestWithParam<Method> {};

TEST_P(TokenMethodsTest, KeepWhatTheirDefinitionKeepsAndAttendToIt) {
  const auto& [method, budget_of] = GetParam();
  CacheConfig c = SmallConfig(method);
  c.budget_tokens = method == "lagkv" ? 30 : 10;  // a whole chunk, and more
  c.budget_of = budget_of;
  const ScratchDir folder;
  for (const CacheGeometry& g : PositionRules()) {
    if (FindCacheMethod(method)->reads("gate")) {
      c.gate = SaveRandomWriteGate(folder, g, method);
      c.threshold = 0;
    }
    const Episode e = MakeEpisode(g, 50, 3);
    PlainRun plain(g, c, e);
    plain.Run(Rules().at(method)({plain, g, c, e}));
    auto cache = MakeCache(g, c);
    const at::Tensor got = RunEpisode(*cache, e);
    int tokens = 0;
    for (int lane = 0; lane < g.lanes(); ++lane) {
      TokenSet held;
      for (const FarToken& token : cache->store().far(lane / g.kv_heads, lane % g.kv_heads)) {
        if (token.chunk >= 0) {
          held.insert(token.chunk * c.chunk_blocks * g.tokens_per_block + token.offset);
        }
      }
      EXPECT_EQ(held, plain.held(lane)) << "lane " << lane;
      tokens += static_cast<int>(held.size());
    }
    EXPECT_EQ(tokens, c.budget_tokens * g.lanes());
    for (int layer = 0; layer < g.layers; ++layer) {
      EXPECT_LT(MaxDifference(got[layer], plain.Output(layer)), 1e-5) << "layer " << layer;
    }
    // Whatever is kept beside the tokens is charged.
    EXPECT_EQ(*cache->stats().cost.method_bytes > 0,
              method != "keydiff" && method != "infinipot_v");
    EXPECT_GT(cache->policy().cost().plan_flops, 0);
  }
}

std::vector<Method> EveryTokenMethod() {
  std::vector<Method> all;
  for (const CacheMethod& method : CacheMethods()) {
    // Those that make tokens of their own have their own tests.
    if (!method.reads("budget_of") || method.name == "streammem" ||
        method.name == "attention_matching") {
      continue;
    }
    for (const char* of : {"head", "layer"}) all.emplace_back(method.name, of);
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Every, TokenMethodsTest, testing::ValuesIn(EveryTokenMethod()),
                         [](const auto& info) {
                           return info.param.first + "_" + info.param.second;
                         });

TEST(WgKv, WithoutABudgetHoldsExactlyWhatItsGateAdmits) {
  const ScratchDir folder;
  const CacheGeometry g = SmallGeometry();
  CacheConfig c = SmallConfig("wg_kv");
  c.gate = SaveRandomWriteGate(folder, g, "wg_kv");
  const Episode e = MakeEpisode(g, 50, 3);
  auto cache = MakeCache(g, c);
  RunEpisode(*cache, e);
  const PlainRun plain(g, c, e);
  const Score score = WriteGateScore({plain, g, c, e});
  const int left = c.schedule().NearBegin(e.blocks) * g.tokens_per_block;
  size_t admitted = 0;
  for (int lane = 0; lane < g.lanes(); ++lane) {
    TokenSet held, want;
    for (const FarToken& token : cache->store().far(lane / g.kv_heads, lane % g.kv_heads)) {
      if (token.chunk >= 0) {
        held.insert(token.chunk * c.chunk_blocks * g.tokens_per_block + token.offset);
      }
    }
    for (int token = 0; token < left; ++token) {
      if (score(lane, 0, token) >= 0.5) want.insert(token);
    }
    EXPECT_EQ(held, want) << "lane " << lane;
    admitted += want.size();
  }
  EXPECT_GT(admitted, left * g.lanes() / 4U);
  EXPECT_LT(admitted, 3U * left * g.lanes() / 4);
}

TEST(WgKv, AGateOfAnotherMethodIsRefused) {
  const ScratchDir folder;
  const CacheGeometry g = SmallGeometry();
  CacheConfig c = SmallConfig("wg_kv");
  c.gate = SaveRandomWriteGate(folder, g, "dms");
  const Status status = MakeCachePolicy(c, g).status();
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_NE(status.message().find("trained for 'dms', not for 'wg_kv'"), std::string::npos)
      << status.message();
}

TEST(WgKv, AGateOfAnotherDecoderOrKindIsRefused) {
  const ScratchDir folder;
  CacheGeometry g = SmallGeometry();
  CacheConfig c = SmallConfig("wg_kv");
  c.gate = SaveRandomWriteGate(folder, g, "wg_kv");
  g.kv_heads = 4;
  const auto other = MakeCachePolicy(c, g);
  EXPECT_EQ(other.status().code(), StatusCode::kBadInput);
  EXPECT_NE(other.status().message().find("2 layers of 2 KV heads of 16 dimensions"),
            std::string::npos)
      << other.status().message();
  g = SmallGeometry();
  c.gate = SaveRandomGate(folder, g, c);
  EXPECT_NE(MakeCachePolicy(c, g).status().message().find("not the checkpoint of a write gate"),
            std::string::npos);
  c.gate.clear();
  EXPECT_NE(MakeCachePolicy(c, g).status().message().find("needs 'gate'"), std::string::npos);
}

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
