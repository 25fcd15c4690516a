// SPDX-License-Identifier: Apache-2.0
#include "harness/analyze/analysis.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/analyze/analysis_report.h"
#include "tests/harness/analyze/random_dump.h"

namespace kvla {
namespace {

using Cues = std::vector<std::pair<int, int>>;

Analysis Analyzed(const AttentionDump& dump, const CacheConfig& config, const Cues& cues = {}) {
  Result<Analysis> analysis = AnalyzeDump(dump, config, cues);
  EXPECT_TRUE(analysis.ok()) << config.policy << ": " << analysis.status().message();
  return analysis.ok() ? *std::move(analysis) : Analysis();
}

TEST(AnalyzeDump, FullHasNoError) {
  const Analysis a = Analyzed(RandomDump(20, 1), SmallConfig("full"));
  ASSERT_EQ(a.method.errors.size(), 40u);
  for (const double error : a.method.errors) EXPECT_EQ(error, 0);
  EXPECT_EQ(a.method.live_bytes, a.full[0].live_bytes);
  EXPECT_EQ(a.method.attention_flops, a.full[0].attention_flops);
  EXPECT_EQ(a.method.method_flops, 0);
}

// `x` [heads, n, head_dim] turned by a position, in double.
at::Tensor Turned(const at::Tensor& x, double theta, double position) {
  const int64_t half = x.size(-1) / 2;
  std::vector<at::Tensor> a, b;
  for (int64_t i = 0; i < half; ++i) {
    const double angle =
        theta == 0 ? 0 : position * std::pow(theta, -static_cast<double>(i) / half);
    const at::Tensor low = x.select(-1, i), high = x.select(-1, i + half);
    a.push_back(low * std::cos(angle) - high * std::sin(angle));
    b.push_back(high * std::cos(angle) + low * std::sin(angle));
  }
  a.insert(a.end(), b.begin(), b.end());
  return torch::stack(a, -1);
}

// Attention of a block over the instruction and, of those before it, the blocks from `first` on;
// those before `near` and the instruction at the distance of the clamp. [heads, T, head_dim]
at::Tensor PlainOutput(const AttentionDump& dump, int layer, int block, int first, int near) {
  const CacheGeometry& g = dump.geometry;
  const auto rows = [&](const at::Tensor& all, int64_t begin, int64_t count) {
    return all[layer].narrow(1, begin, count).to(at::kDouble);
  };
  const int64_t t = g.tokens_per_block, n = g.instruction_tokens;
  const at::Tensor q = rows(dump.queries, n + block * t, t);
  std::vector<at::Tensor> logits, values;
  const auto add = [&](int64_t begin, int64_t count, int distance) {
    const auto shared = [&](const at::Tensor& x) { return x.repeat_interleave(g.group(), 0); };
    const at::Tensor turned = Turned(q, g.rope_theta, distance);
    logits.push_back(torch::matmul(turned, shared(rows(dump.keys, begin, count)).transpose(1, 2)) /
                     std::sqrt(g.head_dim));
    values.push_back(shared(rows(dump.values, begin, count)));
  };
  add(0, n, g.age_clamp_blocks);
  for (int other = first; other <= block; ++other) {
    add(n + other * t, t, other < near ? g.age_clamp_blocks : block - other);
  }
  return torch::matmul(torch::cat(logits, 2).softmax(2), torch::cat(values, 1));
}

TEST(AnalyzeDump, TheErrorOfAWindowIsThatOfPlainAttentionWithoutWhatLeft) {
  AttentionDump dump = RandomDump(15, 2);
  const CacheConfig config = SmallConfig("window");  // a window of 6, chunks of 4
  for (const double theta : {10000.0, 0.0}) {
    dump.geometry.rope_theta = theta;
    const Analysis a = Analyzed(dump, config);
    for (int layer = 0; layer < 2; ++layer) {
      double sum = 0, max = 0;
      for (int block = 0; block < 15; ++block) {
        // With 10 blocks near the oldest 4 leave.
        const int near = block < 10 ? 0 : block < 14 ? 4 : 8;
        const at::Tensor full = PlainOutput(dump, layer, block, 0, near);
        const at::Tensor window = PlainOutput(dump, layer, block, near, near);
        const double error = std::sqrt((window - full).square().sum().item<double>() /
                                       full.square().sum().item<double>());
        EXPECT_NEAR(a.method.errors[layer * 15 + block], error, 1e-5) << layer << " " << block;
        EXPECT_EQ(error > 0.01, block >= 10);
        sum += error;
        max = std::max(max, error);
      }
      const ErrorSummary summary = SummarizeErrors(a, a.method, layer);
      EXPECT_NEAR(summary.mean, sum / 15, 1e-5);
      EXPECT_NEAR(summary.max, max, 1e-5);
      EXPECT_EQ(a.method.errors[layer * 15 + summary.max_block], summary.max);
    }
    const double mean = SummarizeErrors(a, a.method, 0).mean + SummarizeErrors(a, a.method, 1).mean;
    EXPECT_NEAR(SummarizeErrors(a, a.method).mean, mean / 2, 1e-12);
  }
}

TEST(AnalyzeDump, BytesAreThoseThatAreStored) {
  const Analysis a = Analyzed(RandomDump(15, 3), SmallConfig("window"));
  // Keys and values of 4 lanes, 16 wide: 15 blocks of 3 tokens after 2, of which 8 blocks left.
  constexpr int64_t kToken = 2 * 4 * 16 * 4;
  EXPECT_EQ(a.full[0].live_bytes.back(), 47 * kToken);
  EXPECT_EQ(a.full[0].live_bytes.front(), 5 * kToken);
  EXPECT_EQ(a.method.live_bytes.back(), 23 * kToken);
  // Everything in two bytes; or in one, with scales, but for the newest blocks.
  EXPECT_EQ(a.full[1].live_bytes.back(), 47 * kToken / 2);
  EXPECT_LT(a.full[2].live_bytes.back(), a.full[1].live_bytes.back());
  EXPECT_GT(a.full[2].live_bytes.back(), 47 * kToken / 4);
  const double bf16 = SummarizeErrors(a, a.full[1]).mean, int8 = SummarizeErrors(a, a.full[2]).mean;
  EXPECT_GT(bf16, 0);
  EXPECT_GT(int8, bf16);
  EXPECT_LT(int8, 0.02);
}

TEST(AnalyzeDump, ChunksSayWhatIsHeldOfThem) {
  CacheConfig config = SmallConfig("h2o");
  config.budget_tokens = 10;
  const Analysis a = Analyzed(RandomDump(23, 4), config);
  ASSERT_EQ(a.chunks.size(), 6u);
  double held = 0;
  for (int i = 0; i < 6; ++i) {
    const AnalyzedChunk& chunk = a.chunks[i];
    EXPECT_EQ(chunk.first_block, 4 * i);
    EXPECT_EQ(chunk.blocks, i < 5 ? 4 : 3);
    EXPECT_EQ(chunk.tokens, 3 * chunk.blocks);
    EXPECT_LE(chunk.least_held, chunk.held);
    EXPECT_GE(chunk.most_held, chunk.held);
    if (i < 4) held += chunk.held;
    EXPECT_EQ(chunk.record.decision.action == ChunkAction::kWindow, i >= 4);
    if (i >= 4) {
      EXPECT_EQ(chunk.held, chunk.tokens);
    }
  }
  EXPECT_NEAR(held, 10, 1e-9);  // the budget, in every lane
}

TEST(AnalyzeDump, EveryMethodRuns) {
  const ScratchDir folder;
  const AttentionDump dump = RandomDump(26, 5);
  std::set<std::string> ran;
  for (const CacheConfig& config : EveryMethod(folder, SmallGeometry())) {
    const CacheMethod& method = *FindCacheMethod(config.policy);
    if (method.window_again) {
      const Status status = AnalyzeDump(dump, config).status();
      EXPECT_EQ(status.code(), StatusCode::kBadInput);
      EXPECT_NE(status.message().find("which a dump does not hold"), std::string::npos);
      ran.insert(config.policy);
      continue;
    }
    const Cues cues = method.cue_hint ? Cues{{2, 4}} : Cues{};
    const Analysis a = Analyzed(dump, config, cues);
    ran.insert(config.policy);
    ASSERT_EQ(a.method.errors.size(), 52u) << config.policy;
    for (const double error : a.method.errors) {
      EXPECT_TRUE(std::isfinite(error) && error < 10) << config.policy << " " << error;
    }
    for (int block = 0; block < 10; ++block) EXPECT_EQ(a.method.errors[block], 0) << config.policy;
    EXPECT_LE(a.method.live_bytes.back(), a.full[0].live_bytes.back()) << config.policy;
    // It is the cache that an episode has.
    const std::unique_ptr<KvCache> cache = MakeCache(SmallGeometry(), config);
    Episode episode{.q = {}, .k = {}, .v = {}, .blocks = 26};
    for (int layer = 0; layer < 2; ++layer) {
      episode.q.push_back(dump.queries[layer].narrow(1, 2, 78));
      episode.k.push_back(dump.keys[layer]);
      episode.v.push_back(dump.values[layer]);
    }
    RunEpisode(*cache, episode, {.stream_key = 0, .cue_blocks = cues});
    EXPECT_EQ(a.method.live_bytes.back(), cache->stats().cost.kv_live_bytes) << config.policy;
    ASSERT_EQ(a.decisions.size(), cache->decision_log().size()) << config.policy;
    for (size_t i = 0; i < a.decisions.size(); ++i) {
      EXPECT_EQ(a.decisions[i].decision, cache->decision_log()[i].decision) << config.policy;
    }
    // ... and can be printed.
    const nlohmann::json json = AnalysisJson(a);
    EXPECT_EQ(json["method"]["error_by_layer"][1]["by_block"].size(), 26u);
    EXPECT_EQ(json["chunks"].size(), 7u);
    EXPECT_NE(FormatAnalysis(a).find(config.policy), std::string::npos);
    EXPECT_TRUE(AnalysisSvg(a, "x").ends_with("</svg>\n"));
  }
  EXPECT_EQ(ran.size(), CacheMethods().size());
}

TEST(AnalyzeDump, OnlyTheMethodThatIsToldTheCueIsToldIt) {
  const AttentionDump dump = RandomDump(15, 6);
  const auto refused = [&](const CacheConfig& config, const Cues& cues) {
    const Status status = AnalyzeDump(dump, config, cues).status();
    EXPECT_EQ(status.code(), StatusCode::kBadInput);
    return status.message();
  };
  EXPECT_NE(refused(SmallConfig("oracle"), {}).find("must be told which blocks"),
            std::string::npos);
  EXPECT_NE(refused(SmallConfig("window"), {{1, 2}}).find("without being told"), std::string::npos);
  EXPECT_NE(refused(SmallConfig("oracle"), {{14, 16}}).find("within 0:15"), std::string::npos);
  const Analysis a = Analyzed(dump, SmallConfig("oracle"), {{5, 6}});
  EXPECT_EQ(a.chunks[0].record.decision.action, ChunkAction::kDropped);
  EXPECT_EQ(a.chunks[1].record.decision.action, ChunkAction::kWhole);
}

TEST(AnalyzeDump, ASettingThatTheMethodDoesNotReadIsRefused) {
  CacheConfig config = SmallConfig("window");
  config.budget_tokens = 5;
  EXPECT_EQ(AnalyzeDump(RandomDump(15, 7), config).status().code(), StatusCode::kBadInput);
}

TEST(AnalysisReport, SaysThatNothingLeft) {
  const Analysis a = Analyzed(RandomDump(9, 8), SmallConfig("window"));
  EXPECT_FALSE(a.anything_left());
  EXPECT_NE(FormatAnalysis(a).find("nothing has left the window: the dump has 9 blocks"),
            std::string::npos);
  EXPECT_EQ(AnalysisJson(a)["notes"].size(), 1u);
}

TEST(AnalysisReport, JsonHoldsEveryDecisionAndScore) {
  const AttentionDump dump = RandomDump(18, 9);
  CacheConfig config = SmallConfig("knorm");
  config.budget_chunks = 1;
  const Analysis a = Analyzed(dump, config);
  const nlohmann::json json = AnalysisJson(a);
  ASSERT_EQ(json["decisions"].size(), a.decisions.size());
  for (int i = 0; i < 3; ++i) {  // those that left
    EXPECT_EQ(json["chunks"][i]["after_block"], a.chunks[i].record.decided_block);
    EXPECT_EQ(json["chunks"][i]["score"].get<float>(), a.chunks[i].record.decision.score);
    EXPECT_LT(json["chunks"][i]["score"].get<double>(), 0);
  }
  EXPECT_EQ(json["chunks"][3]["action"], "window");
  EXPECT_TRUE(json["chunks"][3]["score"].is_null());
  EXPECT_EQ(json["method"]["live_bytes"], a.method.live_bytes.back());
  // A method that gives no scores has none.
  const nlohmann::json window = AnalysisJson(Analyzed(dump, SmallConfig("window")));
  EXPECT_TRUE(window["chunks"][0]["score"].is_null());
  EXPECT_EQ(window["chunks"][0]["action"], "dropped");
}

int Count(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(AnalysisReport, ThePlotHasALineALayerAndABarAChunk) {
  const Analysis a = Analyzed(RandomDump(18, 10), SmallConfig("window"));
  const std::string svg = AnalysisSvg(a, "a < b & c");
  EXPECT_NE(svg.find("a &lt; b &amp; c"), std::string::npos);
  EXPECT_EQ(Count(svg, "<polyline"), 2 + 4);     // layers; caches
  EXPECT_EQ(Count(svg, "fill=\"#b8bec5\""), 4);  // three chunks that were dropped, and the legend
  EXPECT_EQ(Count(svg, "fill=\"#56b4e9\""), 3);  // two in the window, and the legend
  CacheConfig knorm = SmallConfig("knorm");
  knorm.budget_chunks = 1;
  EXPECT_NE(AnalysisSvg(Analyzed(RandomDump(18, 10), knorm), "").find("Score"), std::string::npos);
}

}  // namespace
}  // namespace kvla
