// SPDX-License-Identifier: Apache-2.0
// Cached inference and parallel training agree under every method.
#include "kv_efficient/training/training_attention.h"
#include "tests/kv_efficient/every_method.h"

namespace kvla {
namespace {

EpisodeFacts Facts() { return {.stream_key = 77, .cue_blocks = {{9, 12}, {30, 31}}}; }

TEST(Paths, AgreeUnderEveryMethod) {
  const ScratchDir folder;
  for (const CacheGeometry& g : PositionRules()) {
    const Episode e = MakeEpisode(g, 61, 1);  // ends inside a chunk
    for (const CacheConfig& c : EveryMethod(folder, g)) {
      // A log of chunks does not tell which tokens lanes keep: see token_methods_test.cc.
      if (FindCacheMethod(c.policy)->reads("budget_of")) continue;
      auto cache = MakeCache(g, c);
      if (cache->needs().selects) continue;  // quest_test.cc
      const at::Tensor cached = RunEpisode(*cache, e, Facts());
      const at::Tensor fused = ReplayInTraining(g, c, e, cache->decision_log());
      const at::Tensor plain = ReplayInTraining(g, c, e, cache->decision_log(), true);
      EXPECT_LT(MaxDifference(cached, fused), 1e-5)
          << c.policy << " " << c.keep << " " << c.budget_chunks << " " << g.age_clamp_blocks;
      EXPECT_LT(MaxDifference(cached, plain), 1e-5)
          << c.policy << " " << c.keep << " " << c.budget_chunks << " " << g.age_clamp_blocks;
    }
  }
}

TEST(Paths, MethodsDiffer) {  // or agreement would mean little
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 40, 2);
  auto full = MakeCache(g, SmallConfig("full"));
  const at::Tensor reference = RunEpisode(*full, e);
  for (const char* policy : {"window", "mean_pool", "random"}) {
    auto cache = MakeCache(g, SmallConfig(policy));
    EXPECT_GT(MaxDifference(RunEpisode(*cache, e), reference), 1e-2) << policy;
  }
}

// In a decoder whose tokens keep their distance a window that nothing is dropped from means
// nothing.
TEST(Paths, WhereTokensKeepTheirDistanceAFullCacheIsAllWindow) {
  CacheGeometry g = SmallGeometry();
  g.age_clamp_blocks = 0;
  const Episode e = MakeEpisode(g, 40, 2);
  CacheConfig wide = SmallConfig("full");
  wide.window_blocks = 100;
  auto all_near = MakeCache(g, wide), most_far = MakeCache(g, SmallConfig("full"));
  EXPECT_LT(MaxDifference(RunEpisode(*all_near, e), RunEpisode(*most_far, e)), 1e-5);
}

TEST(Paths, ChunkAndWindowSizes) {
  CacheGeometry g = SmallGeometry();
  for (const auto& [window, chunk, tokens] :
       {std::tuple{0, 1, 3}, {0, 4, 1}, {1, 5, 2}, {7, 3, 8}, {30, 4, 3}, {100, 4, 3}}) {
    g.tokens_per_block = tokens;
    const Episode e = MakeEpisode(g, 33, 3);
    for (const char* policy : {"full", "mean_pool", "window"}) {
      CacheConfig c = SmallConfig(policy);
      c.window_blocks = window;
      c.chunk_blocks = chunk;
      auto cache = MakeCache(g, c);
      const at::Tensor cached = RunEpisode(*cache, e);
      EXPECT_LT(MaxDifference(cached, ReplayInTraining(g, c, e, cache->decision_log())), 1e-5)
          << policy << " " << window << " " << chunk << " " << tokens;
    }
  }
}

TEST(Paths, WithoutInstruction) {
  for (CacheGeometry g : PositionRules()) {
    g.instruction_tokens = 0;
    const Episode e = MakeEpisode(g, 30, 4);
    for (const char* policy : {"full", "window"}) {
      const CacheConfig c = SmallConfig(policy);
      auto cache = MakeCache(g, c);
      const at::Tensor cached = RunEpisode(*cache, e);
      EXPECT_LT(MaxDifference(cached, ReplayInTraining(g, c, e, cache->decision_log())), 1e-5);
    }
  }
}

// A plain softmax over explicitly chosen keys, position by position.
TEST(Paths, FullMatchesTheRuleWrittenOut) {
  const CacheGeometry g = SmallGeometry();
  const CacheConfig c = SmallConfig("full");
  const Episode e = MakeEpisode(g, 30, 5);
  auto cache = MakeCache(g, c);
  const at::Tensor cached = RunEpisode(*cache, e);
  const auto turn = [&](const at::Tensor& x, double position) {  // in double, pair by pair
    at::Tensor out = x.clone();
    const int half = g.head_dim / 2;
    for (int i = 0; i < half; ++i) {
      const double angle = position * std::pow(g.rope_theta, -2.0 * i / g.head_dim);
      out[i] = x[i] * std::cos(angle) - x[i + half] * std::sin(angle);
      out[i + half] = x[i + half] * std::cos(angle) + x[i] * std::sin(angle);
    }
    return out;
  };
  const int t = g.tokens_per_block;
  for (const int block : {0, 9, 10, 29}) {
    for (const int head : {0, 3}) {
      const at::Tensor k = e.k[1][head / 2].to(at::kDouble), v = e.v[1][head / 2].to(at::kDouble);
      const at::Tensor q = e.q[1][head][block * t + 1].to(at::kDouble);
      const int near = block <= 9 ? 0 : (block - 6) / 4 * 4;
      std::vector<at::Tensor> logits;
      for (int j = 0; j < g.instruction_tokens + (block + 1) * t; ++j) {
        const int key_block = j < g.instruction_tokens ? -1 : (j - g.instruction_tokens) / t;
        const double age = key_block >= near ? block - key_block : g.age_clamp_blocks;
        logits.push_back(turn(q, age).dot(k[j]) / std::sqrt(g.head_dim));
      }
      const at::Tensor p = torch::stack(logits).softmax(0);
      const at::Tensor want = torch::matmul(p, v.narrow(0, 0, p.size(0)));
      EXPECT_LT(MaxDifference(cached[1][head][block * t + 1], want), 1e-5) << block << " " << head;
    }
  }
}

TEST(Visibility, SubsampleEqualsFullRunWithTheRestDropped) {
  const CacheGeometry g = SmallGeometry();
  const CacheConfig c = SmallConfig("full");
  const BlockSchedule schedule = c.schedule();
  // Of 40 blocks the sample has chunks 1, 2, 5, 7, 8 and half of 9; the others are dropped in the
  // reference as soon as they leave. Queries agree whose window lies inside the sample.
  std::vector<int> positions;
  for (const int chunk : {1, 2, 5, 7, 8, 9}) {
    for (int i = 0; i < (chunk == 9 ? 2 : 4); ++i) positions.push_back(chunk * 4 + i);
  }
  std::vector<DecisionEvent> all;
  for (int chunk = 0; chunk < 9; ++chunk) {
    const bool sampled = chunk == 1 || chunk == 2 || chunk == 5 || chunk >= 7;
    const ChunkAction action = !sampled     ? ChunkAction::kDropped
                               : chunk == 2 ? ChunkAction::kCompressed
                                            : ChunkAction::kWhole;
    all.push_back({schedule.LeavesAfter(chunk), {chunk, action, 0, ReasonCode::kNone}});
  }
  const Episode e = MakeEpisode(g, 38, 6);
  const at::Tensor reference = ReplayInTraining(g, c, e, all);

  auto v = BuildVisibility(schedule, g.instruction_tokens, g.tokens_per_block, positions, all,
                           ChunkAction::kWhole);
  ASSERT_TRUE(v.ok()) << v.status().message();
  EXPECT_EQ(v->complete_chunks, 5);
  const std::vector<Visibility> batch = {*v, *v};
  auto plan = PlanTraining(batch, TableFor(g), g.age_clamp_blocks, at::kCPU);
  ASSERT_TRUE(plan.ok());
  std::vector<int64_t> rows, keys;
  for (int i = 0; i < g.instruction_tokens; ++i) keys.push_back(i);
  for (const int p : positions) {
    for (int t = 0; t < g.tokens_per_block; ++t) {
      rows.push_back(p * g.tokens_per_block + t);
      keys.push_back(g.instruction_tokens + rows.back());
    }
  }
  const at::Tensor row_index = torch::tensor(rows), key_index = torch::tensor(keys);
  const auto pick = [](const at::Tensor& x, const at::Tensor& index) {
    return x.index_select(1, index).unsqueeze(0).expand({2, -1, -1, -1});
  };
  const at::Tensor got = TrainingAttention(pick(e.q[0], row_index), pick(e.k[0], key_index),
                                           pick(e.v[0], key_index), *plan);
  const at::Tensor want = reference[0].index_select(1, row_index);
  const int64_t checked = 2 * g.tokens_per_block;  // blocks 36, 37: window from 28
  const int64_t begin = static_cast<int64_t>(rows.size()) - checked;
  for (int b = 0; b < 2; ++b) {
    EXPECT_LT(MaxDifference(got[b].narrow(1, begin, checked), want.narrow(1, begin, checked)),
              1e-5);
  }
}

TEST(Visibility, RefusesSamplesThatBreakChunks) {
  const BlockSchedule schedule(6, 4);
  const auto build = [&](std::vector<int> positions) {
    return BuildVisibility(schedule, 1, 2, positions, {}, ChunkAction::kWhole).status();
  };
  EXPECT_TRUE(build({0, 1, 2, 3, 8, 9}).ok());
  EXPECT_FALSE(build({1, 2, 3, 4}).ok());
  EXPECT_FALSE(build({0, 1, 2, 8, 9, 10, 11}).ok());
  EXPECT_FALSE(build({4, 5, 6, 7, 0, 1, 2, 3}).ok());
  EXPECT_FALSE(build({0, 1, 2, 2}).ok());
}

TEST(Visibility, BatchElementsDoNotMeet) {
  const CacheGeometry g = SmallGeometry();
  const BlockSchedule schedule(6, 4);
  std::vector<int> a, b;
  for (int i = 0; i < 24; ++i) a.push_back(i), b.push_back(i < 8 ? i : i + 12);
  std::vector<Visibility> samples;
  for (const auto& positions : {a, b}) {
    auto v = BuildVisibility(schedule, 2, 3, positions,
                             std::vector<DecisionEvent>{{9, {0, ChunkAction::kDropped}}},
                             ChunkAction::kWhole);
    ASSERT_TRUE(v.ok());
    samples.push_back(*v);
  }
  auto plan = PlanTraining(samples, TableFor(g), g.age_clamp_blocks, at::kCPU);
  ASSERT_TRUE(plan.ok());
  torch::manual_seed(9);
  const at::Tensor q = torch::randn({2, 4, 72, 16}), k = torch::randn({2, 2, 74, 16});
  const at::Tensor v = torch::randn({2, 2, 74, 16});
  const at::Tensor both = TrainingAttention(q, k, v, *plan);
  for (int i = 0; i < 2; ++i) {
    auto alone = PlanTraining({&samples[i], 1}, TableFor(g), g.age_clamp_blocks, at::kCPU);
    const auto one = [&](const at::Tensor& x) { return x.narrow(0, i, 1); };
    EXPECT_LT(MaxDifference(TrainingAttention(one(q), one(k), one(v), *alone), one(both)), 1e-6);
  }
}

TEST(TrainingAttention, GradientsEqualThoseOfPlainSoftmax) {
  const CacheGeometry g = SmallGeometry();
  const BlockSchedule schedule(6, 4);
  std::vector<int> positions;
  for (int i = 0; i < 62; ++i) positions.push_back(i);
  std::vector<DecisionEvent> events;
  for (int chunk = 0; chunk < 13; ++chunk) {
    events.push_back(
        {schedule.LeavesAfter(chunk), {chunk, static_cast<ChunkAction>(1 + chunk % 3)}});
  }
  auto v = BuildVisibility(schedule, 2, 3, positions, events, ChunkAction::kWhole);
  ASSERT_TRUE(v.ok());
  auto plan = PlanTraining({&*v, 1}, TableFor(g), g.age_clamp_blocks, at::kCPU);
  ASSERT_TRUE(plan.ok());
  ASSERT_GT(plan->slices.size(), 1u);
  torch::manual_seed(3);
  // The last is a bias of each KV head.
  std::vector<at::Tensor> inputs = {torch::randn({2, 4, 186, 16}), torch::randn({2, 2, 188, 16}),
                                    torch::randn({2, 2, 188, 16}),
                                    torch::randn({2, 2, v->far.size(1)})};
  const at::Tensor weight = torch::randn({2, 4, 186, 16});
  for (const bool biased : {false, true}) {
    std::vector<at::Tensor> outputs;
    std::vector<std::vector<at::Tensor>> grads;
    for (const bool plain : {false, true}) {
      for (at::Tensor& x : inputs) x = x.detach().requires_grad_(true);
      const at::Tensor bias = biased ? inputs[3] : at::Tensor();
      outputs.push_back(plain ? PlainTrainingAttention(inputs[0], inputs[1], inputs[2], *plan, bias)
                              : TrainingAttention(inputs[0], inputs[1], inputs[2], *plan, bias));
      const std::vector<at::Tensor> of(inputs.begin(), inputs.begin() + (biased ? 4 : 3));
      grads.push_back(torch::autograd::grad({(outputs.back() * weight).sum()}, of));
    }
    EXPECT_LT(MaxDifference(outputs[0], outputs[1]), 1e-5) << biased;
    for (size_t i = 0; i < grads[0].size(); ++i) {
      EXPECT_GT(grads[1][i].abs().max().item<double>(), 0.1);
      EXPECT_LT(MaxDifference(grads[0][i], grads[1][i]), 2e-5) << biased << " " << i;
    }
    // A KV head's bias is its own: the first chunk was seen far by both.
    if (!biased) continue;
    EXPECT_GT(grads[0][3].abs().amax({0, 2}).min().item<double>(), 0.1);
  }
}

}  // namespace
}  // namespace kvla
