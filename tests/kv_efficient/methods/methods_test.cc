// SPDX-License-Identifier: Apache-2.0
// Schedules, settings and decisions of the methods.
#include <fmt/format.h>

#include <cmath>

#include "base/config_io.h"
#include "tests/kv_efficient/every_method.h"

namespace kvla {
namespace {

TEST(Schedule, AgreesWithTheLoop) {
  for (const int window : {0, 1, 6, 16}) {
    for (const int chunk : {1, 3, 4}) {
      const BlockSchedule s(window, chunk);
      int near = 0;
      for (int block = 0; block < 100; ++block) {
        EXPECT_EQ(s.NearBegin(block), near);
        if (block + 1 - near >= window + chunk) {  // the rule as the cache applies it
          EXPECT_EQ(s.LeavesAfter(near / chunk), block);
          near += chunk;
        }
        EXPECT_LT(block + 1 - near, window + chunk);
      }
    }
  }
}

std::vector<ChunkRecord> Decisions(const CacheConfig& c, int blocks, const EpisodeFacts& facts,
                                   std::vector<DecisionEvent>* log = nullptr) {
  const CacheGeometry g = SmallGeometry();
  auto cache = MakeCache(g, c);
  RunEpisode(*cache, MakeEpisode(g, blocks, 7), facts);
  if (log != nullptr) *log = cache->decision_log();
  EXPECT_EQ(cache->TakeChangedDecisions().size(), cache->decision_log().size());
  EXPECT_TRUE(cache->TakeChangedDecisions().empty());
  return cache->chunks();
}

int Count(const std::vector<ChunkRecord>& chunks, ChunkAction action) {
  return std::count_if(chunks.begin(), chunks.end(),
                       [&](const ChunkRecord& r) { return r.decision.action == action; });
}

TEST(Policies, DecideAsTheySay) {
  // The second cue ends where chunk 6 begins: that is not in it.
  const EpisodeFacts facts{.stream_key = 3, .cue_blocks = {{11, 13}, {20, 24}}};
  const auto full = Decisions(SmallConfig("full"), 50, facts);
  ASSERT_EQ(full.size(), 13u);  // the last one partial; blocks 44.. are near: 11 chunks left
  EXPECT_EQ(Count(full, ChunkAction::kWhole), 11);
  EXPECT_EQ(Count(full, ChunkAction::kWindow), 2);
  EXPECT_EQ(full[0].decision.reason, ReasonCode::kAll);
  EXPECT_EQ(full[3].decided_block, BlockSchedule(6, 4).LeavesAfter(3));
  EXPECT_EQ(Count(Decisions(SmallConfig("window"), 50, facts), ChunkAction::kDropped), 11);
  const auto pooled = Decisions(SmallConfig("mean_pool"), 50, facts);
  EXPECT_EQ(Count(pooled, ChunkAction::kCompressed), 11);
  EXPECT_EQ(pooled[0].decision.reason, ReasonCode::kPooled);
  CacheConfig sink = SmallConfig("sink_window");
  sink.sink_chunks = 2;
  const auto sinks = Decisions(sink, 50, facts);
  EXPECT_EQ(Count(sinks, ChunkAction::kWhole), 2);
  EXPECT_EQ(sinks[1].decision.action, ChunkAction::kWhole);
  EXPECT_EQ(sinks[1].decision.reason, ReasonCode::kSink);
  CacheConfig told = SmallConfig("oracle");
  told.keep = "compressed";
  const auto oracle = Decisions(told, 50, facts);
  for (int chunk = 0; chunk < 11; ++chunk) {
    const bool cue = chunk == 2 || chunk == 3 || chunk == 5;
    EXPECT_EQ(oracle[chunk].decision.action,
              cue ? ChunkAction::kCompressed : ChunkAction::kDropped);
  }
  EXPECT_EQ(oracle[2].decision.reason, ReasonCode::kCueHint);
}

TEST(Policies, RandomFollowsItsRateAndItsKey) {
  CacheConfig c = SmallConfig("random");
  c.keep_rate = 0.3;
  int kept = 0, total = 0, same = 0;
  std::vector<bool> previous;
  for (uint64_t key = 0; key < 40; ++key) {
    auto policy = MakeCachePolicy(c, SmallGeometry());
    ASSERT_TRUE(policy.ok());
    (*policy)->Reset({.stream_key = key});
    std::vector<bool> now;
    for (int chunk = 0; chunk < 50; ++chunk) {
      const Plan plan = (*policy)->PlanLeaving({.chunk = chunk}, {});
      now.push_back(plan.decisions[0].action != ChunkAction::kDropped);
      kept += now.back();
      ++total;
    }
    same += now == previous;
    previous = now;
  }
  EXPECT_NEAR(static_cast<double>(kept) / total, 0.3, 0.04);
  EXPECT_EQ(same, 0);
}

TEST(Policies, RandomBudgetIsAnEvenSample) {
  CacheConfig c = SmallConfig("random");
  c.budget_chunks = 3;
  std::vector<int> held(12);
  for (uint64_t key = 0; key < 4000; ++key) {
    auto policy = MakeCachePolicy(c, SmallGeometry());
    (*policy)->Reset({.stream_key = key});
    std::vector<ChunkRecord> chunks;
    for (int chunk = 0; chunk < 12; ++chunk) {
      const Plan plan = (*policy)->PlanLeaving({.chunk = chunk}, {.chunks = chunks});
      chunks.push_back({});
      for (const ChunkDecision& d : plan.decisions) chunks[d.chunk].decision = d;
    }
    int count = 0;
    for (int i = 0; i < 12; ++i) {
      const bool kept = chunks[i].decision.action == ChunkAction::kWhole;
      held[i] += kept;
      count += kept;
    }
    EXPECT_EQ(count, 3);
  }
  for (const int n : held) EXPECT_NEAR(n, 1000, 110);
}

class Scores : public CachePolicy {
 public:
  Scores(std::vector<float> scores, RetentionRule rule)
      : CachePolicy(rule), scores_(std::move(scores)) {}
  float Score(const ChunkView& v) override { return scores_[v.chunk]; }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Scores>(*this); }
  MethodCost cost() const override { return {}; }

 private:
  std::vector<float> scores_;
};

TEST(Policies, BudgetKeepsTheTopScores) {
  const std::vector<float> scores = {.6f, .9f, .1f, .7f, .8f, .5f, .95f, .4f};
  Scores policy(scores, {.keep = ChunkAction::kCompressed, .threshold = .5f, .budget_chunks = 3});
  std::vector<ChunkRecord> chunks;
  for (int chunk = 0; chunk < 8; ++chunk) {
    const Plan plan = policy.PlanLeaving({.chunk = chunk}, {.chunks = chunks});
    chunks.push_back({});
    for (const ChunkDecision& d : plan.decisions) chunks[d.chunk].decision = d;
  }
  for (const int kept : {1, 4, 6}) {
    EXPECT_EQ(chunks[kept].decision.action, ChunkAction::kCompressed);
    EXPECT_EQ(chunks[kept].decision.reason, ReasonCode::kAboveThreshold);
  }
  EXPECT_EQ(chunks[2].decision.reason, ReasonCode::kBelowThreshold);
  for (const int over : {0, 3, 5}) {
    EXPECT_EQ(chunks[over].decision.reason, ReasonCode::kOverBudget);
    EXPECT_FLOAT_EQ(chunks[over].decision.score, scores[over]);  // the score stays
  }
}

TEST(Policies, ABudgetThatIsLoweredHoldsFromTheNextDecisionOn) {
  Scores policy({.6f, .9f, .7f, .8f}, {.threshold = .5f, .budget_chunks = 3});
  std::vector<ChunkRecord> chunks;
  for (int chunk = 0; chunk < 4; ++chunk) {
    if (chunk == 3) policy.SetRetention(.5f, 1);
    const Plan plan = policy.PlanLeaving({.chunk = chunk}, {.chunks = chunks});
    chunks.push_back({});
    for (const ChunkDecision& d : plan.decisions) chunks[d.chunk].decision = d;
  }
  for (int chunk = 0; chunk < 4; ++chunk) {
    EXPECT_EQ(chunks[chunk].decision.action,
              chunk == 1 ? ChunkAction::kWhole : ChunkAction::kDropped);
  }
}

// A score that is no number would be below every threshold, and above every budget.
TEST(Policies, AScoreThatIsNotFiniteIsAnError) {
  const CacheGeometry g = SmallGeometry();
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    auto cache = MakeCache(g, SmallConfig("full"),
                           std::make_unique<Scores>(std::vector<float>(9, bad), RetentionRule{}));
    RunEpisode(*cache, MakeEpisode(g, 9, 1));  // a chunk leaves after the next block
    EXPECT_TRUE(cache->BeginBlock().ok());
    for (int layer = 0; layer < g.layers; ++layer) {
      cache->Attend(layer, torch::randn({g.heads, g.tokens_per_block, g.head_dim}),
                    torch::randn({g.kv_heads, g.tokens_per_block, g.head_dim}),
                    torch::randn({g.kv_heads, g.tokens_per_block, g.head_dim}));
    }
    const Status status = cache->EndBlock();
    EXPECT_NE(status.message().find("finite"), std::string::npos) << bad << status.message();
  }
}

// What a person sets while an episode runs reaches the methods that have it, and no other.
TEST(Policies, SetRetentionLeavesAloneWhatAMethodDoesNotHave) {
  const ScratchDir folder;
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 78, 17);
  const EpisodeFacts facts{.stream_key = 99, .cue_blocks = {{30, 33}}};
  for (const CacheConfig& c : EveryMethod(folder, g)) {
    const CacheMethod& method = *FindCacheMethod(c.policy);
    if (c.budget_chunks > 0) continue;
    auto untouched = MakeCache(g, c), set = MakeCache(g, c);
    set->policy().SetRetention(2, 0);  // above every score of a gate
    RunEpisode(*untouched, e, facts);
    RunEpisode(*set, e, facts);
    EXPECT_EQ(untouched->Save() == set->Save(), !method.has_threshold()) << c.policy;
  }
}

TEST(Policies, EveryMethodIsDeterministicOverALongEpisode) {
  const ScratchDir folder;
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 78, 17);  // a chunk leaves after the last block
  const EpisodeFacts facts{.stream_key = 99, .cue_blocks = {{30, 33}}};
  for (const CacheConfig& c : EveryMethod(folder, g)) {
    auto a = MakeCache(g, c), b = MakeCache(g, c);
    const at::Tensor out = RunEpisode(*a, e, facts);
    EXPECT_TRUE(torch::isfinite(out).all().item<bool>());
    EXPECT_TRUE(torch::equal(out, RunEpisode(*b, e, facts)));
    EXPECT_EQ(a->Save(), b->Save());
    const CacheMethod& method = *FindCacheMethod(c.policy);
    EXPECT_EQ(a->needs().cue_hint, method.cue_hint) << c.policy;
    EXPECT_EQ(a->needs().window_again, method.window_again) << c.policy;
    const int kept =
        Count(a->chunks(), ChunkAction::kWhole) + Count(a->chunks(), ChunkAction::kCompressed);
    const int dropped = Count(a->chunks(), ChunkAction::kDropped);
    EXPECT_EQ(kept + dropped, 18);
    if (method.keeps_all) {
      EXPECT_EQ(kept, 18) << c.policy;
    }
    if (method.scores) {  // chooses: neither everything nor nothing, and says what that costs
      EXPECT_GT(kept, 0) << PrintConfig(c);
      EXPECT_GT(dropped, 1) << PrintConfig(c);
      const MethodCost cost = a->policy().cost();
      EXPECT_GT(static_cast<double>(cost.held_bytes) + cost.plan_flops, 0) << c.policy;
      if (a->needs().keys_values) {
        EXPECT_GT(cost.plan_flops, 0) << c.policy;
      }
      if (a->needs().keys_values) {
        EXPECT_GT(cost.transient_bytes, 0) << c.policy;
      }
    }
    if (c.budget_chunks > 0) {
      EXPECT_LE(kept, c.budget_chunks) << PrintConfig(c);
      // Only a threshold can leave places of the budget free.
      EXPECT_TRUE(kept == c.budget_chunks || method.has_threshold()) << PrintConfig(c);
    }
    if (!method.scores) continue;
    for (const DecisionEvent& event : a->decision_log()) {
      const float score = event.decision.score;
      EXPECT_TRUE(std::isfinite(score)) << c.policy;
      EXPECT_TRUE(!method.unit_scores || (score >= 0 && score <= 1)) << c.policy << score;
    }
  }
}

TEST(Config, ContradictionsAreErrors) {
  const auto message = [](const CacheConfig& c) {
    const Status s = ValidateCacheConfig(c);
    EXPECT_EQ(s.code(), s.ok() ? StatusCode::kOk : StatusCode::kBadInput);
    return s.message();
  };
  for (const CacheMethod& p : CacheMethods()) {
    CacheConfig c = SmallConfig(p.name);
    if (p.reads("gate")) c.gate = "gate.safetensors";
    SetUsualBudget(&c);
    EXPECT_EQ(message(c), "") << p.name;
  }
  CacheConfig c = SmallConfig("window");
  c.keep_rate = 0.25;
  EXPECT_NE(message(c).find("'window' does not read 'keep_rate' (read by periodic, random)"),
            std::string::npos);
  c = SmallConfig("full");
  c.gate = "gate.safetensors";
  EXPECT_NE(message(c).find("'gate'"), std::string::npos);
  c = SmallConfig("mean_pool");
  c.keep = "compressed";
  EXPECT_NE(message(c), "");
  c = SmallConfig("random");
  c.keep_rate = 0.25;
  c.budget_chunks = 2;
  EXPECT_NE(message(c).find("contradict"), std::string::npos);
  EXPECT_NE(message(SmallConfig("knorm")).find("needs a budget"), std::string::npos);
  EXPECT_NE(message(SmallConfig("gated")).find("needs 'gate'"), std::string::npos);
  EXPECT_NE(message(SmallConfig("h3o")).find("unknown policy 'h3o'"), std::string::npos);
  CacheGeometry g = SmallGeometry();
  g.kv_heads = 3;
  EXPECT_FALSE(ValidateCacheGeometry(g).ok());
  g = SmallGeometry();
  g.head_dim = 15;
  EXPECT_FALSE(ValidateCacheGeometry(g).ok());
}

TEST(Config, WarnsWhenAnArmCoversTheCue) {
  EXPECT_EQ(CueCoverageWarning(SmallConfig("window"), {{10, 12}}, 40), "");
  EXPECT_NE(CueCoverageWarning(SmallConfig("window"), {{30, 34}}, 40), "");  // window from 32
  EXPECT_EQ(CueCoverageWarning(SmallConfig("window"), {{30, 32}}, 40), "");
  EXPECT_EQ(CueCoverageWarning(SmallConfig("full"), {{30, 34}}, 40), "");
  EXPECT_EQ(CueCoverageWarning(SmallConfig("window"), {{10, 12}, {40, 44}}, 40), "");
  CacheConfig sink = SmallConfig("sink_window");
  sink.sink_chunks = 3;
  EXPECT_NE(CueCoverageWarning(sink, {{11, 13}}, 60), "");
  EXPECT_EQ(CueCoverageWarning(sink, {{12, 13}}, 60), "");
}

}  // namespace
}  // namespace kvla
