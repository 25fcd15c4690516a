// SPDX-License-Identifier: Apache-2.0
// Cache methods that choose single tokens: every lane keeps those of the highest score among what
// left the window. torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_TOKENS_TOKEN_RETENTION_H_
#define KVLA_KV_EFFICIENT_METHODS_TOKENS_TOKEN_RETENTION_H_

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/methods/cache_config.h"
#include "kv_efficient/methods/cache_policy.h"
#include "kv_efficient/methods/method_table.h"

namespace kvla {

// The instruction and the window stay in any case, beside what the budget has room for: of each
// head, or of the heads of a layer together (Feng et al., Ada-KV: Optimizing KV Cache Eviction by
// Adaptive Budget Allocation for Efficient LLM Inference, arXiv 2407.11550). Decides whenever a
// chunk leaves: `chunk_blocks` is the interval. A decision's score is the share of the chunk that
// lanes still hold.
class TokenRetention : public CachePolicy {
 public:
  // `threshold`: a token scored below it is not kept, whatever room there is.
  TokenRetention(const CacheConfig& config, const CacheGeometry& geometry,
                 std::optional<float> threshold = std::nullopt);

  Plan PlanLeaving(const ChunkView& chunk, const FarState& state) override;
  float Score(const ChunkView&) final { return 0; }
  // A score a token, and the choice among them. The mass is the cache's own.
  MethodCost cost() const override;

 protected:
  // By lane: of each far token, the instruction's too, then of each of the leaving chunk; higher is
  // kept, of equals the newer. Summaries are not chosen among.
  virtual std::vector<std::vector<float>> ScoreTokens(const ChunkView& chunk,
                                                      const FarState& state) = 0;
  // What the tokens that a lane keeps shall weigh and say; `kept` are their places in Competing().
  // Asked where a lane gives something up.
  virtual std::optional<LaneFit> FitKept(int /*lane*/, const ChunkView& /*chunk*/,
                                         const LaneState& /*state*/,
                                         std::span<const int64_t> /*kept*/) {
    return std::nullopt;
  }
  // Of a lane, in the budget's unit, when so many chunks have left.
  virtual int64_t Room(int left_chunks) const { return budget_.Room(left_chunks); }
  // What is scored in a lane: its far tokens, then the leaving chunk's.
  std::vector<FarToken> Competing(const ChunkView& chunk, const LaneState& lane) const;
  const CacheGeometry& geometry() const { return geometry_; }
  const Budget& budget() const { return budget_; }
  int chunk_blocks() const { return chunk_blocks_; }
  int chunk_tokens() const { return chunk_blocks_ * geometry_.tokens_per_block; }
  // Tokens that a lane may hold after `chunk` has left, if each costs as little as it can.
  int MostTokens(const ChunkView& chunk) const {
    return budget_.MostTokens(chunk.chunk + 1, chunk_tokens());
  }
  // Tokens that are scored at a time, of all lanes: at most, or without a budget the last time.
  int64_t scored_tokens() const;

 private:
  CacheGeometry geometry_;
  Budget budget_;
  bool by_layer_;
  int chunk_blocks_;
  int most_left_;  // chunks of the longest episode
  int64_t last_scored_ = 0;
};

// The row of such a method in the table.
template <class T>
CacheMethod TokenMethod(std::string name, std::string help) {
  CacheMethod method{std::move(name),
                     std::move(help),
                     {"budget_tokens", "budget_bytes", "budget_share", "budget_of"}};
  method.usual_budget = 64;
  method.make = [](const CacheConfig& config, const CacheGeometry& geometry) {
    return Result<std::unique_ptr<CachePolicy>>(std::make_unique<T>(config, geometry));
  };
  return method;
}

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_TOKENS_TOKEN_RETENTION_H_
