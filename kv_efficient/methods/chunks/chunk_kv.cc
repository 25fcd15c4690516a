// SPDX-License-Identifier: Apache-2.0
// Whole chunks by the attention of recent queries (Liu et al., ChunkKV: Semantic-Preserving KV
// Cache Compression for Efficient Long-Context LLM Inference, arXiv 2502.00299): a chunk's score is
// the mean of its tokens' (SnapKV's), over all layers and heads.
#include <map>
#include <utility>
#include <vector>

#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/methods/cache_config.h"
#include "kv_efficient/methods/method_table.h"
#include "kv_efficient/methods/tokens/observed_attention.h"

namespace kvla {
namespace {

class ChunkKv : public CachePolicy {
 public:
  ChunkKv(const CacheConfig& config, const CacheGeometry& geometry)
      : CachePolicy(RuleOf(config, geometry)),
        lanes_(geometry.lanes()),
        chunk_tokens_(config.chunk_blocks * geometry.tokens_per_block),
        most_left_(config.schedule().LeftChunks(geometry.max_blocks)) {}

  Needs needs() const override { return {.attention_blocks = kObservedBlocks}; }
  float Score(const ChunkView&) override { return 0; }

  // Every chunk that is held is scored anew; the lowest goes when they are too many, of equals the
  // oldest.
  Plan PlanLeaving(const ChunkView& chunk, const FarState& state) override {
    std::map<int, float> scores;  // of the chunks held and the leaving one
    for (const LaneState& lane : state.lanes) {
      const std::vector<float> pooled = PooledAttention(lane);
      for (size_t i = 0; i < pooled.size(); ++i) {
        const int number = i < lane.far.size() ? lane.far[i].chunk : chunk.chunk;
        if (number >= 0) scores[number] += pooled[i];
      }
    }
    std::vector<ChunkDecision> held;
    for (const auto& [number, score] : scores) {
      const float mean = score / static_cast<float>(lanes_ * chunk_tokens_);
      held.push_back({number, rule().keep, mean, reason(true)});
    }
    Plan plan{.decisions = {held.back()}, .lanes = {}};  // the leaving chunk is the newest
    DropOverBudget(std::move(held), &plan);
    return plan;
  }

  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<ChunkKv>(*this); }
  MethodCost cost() const override {
    const double tokens =
        static_cast<double>(rule().MostChunks(most_left_).value_or(0) + 1) * chunk_tokens_;
    return {.transient_bytes = static_cast<int64_t>(tokens * sizeof(float)),
            .plan_flops = tokens * lanes_ * (2 * kPooledTokens + 1)};
  }

 private:
  int lanes_, chunk_tokens_;
  int most_left_;  // chunks of the longest episode
};

}  // namespace

CacheMethod ChunkKvMethod() {
  CacheMethod method{"chunk_kv", "keeps the chunks that recent queries attend to", WithBudget({})};
  method.scores = true;
  method.usual_budget = 8;
  method.make = [](const CacheConfig& config, const CacheGeometry& geometry) {
    return Result<std::unique_ptr<CachePolicy>>(std::make_unique<ChunkKv>(config, geometry));
  };
  return method;
}

}  // namespace kvla
