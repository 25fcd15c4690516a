// SPDX-License-Identifier: Apache-2.0
// Cache methods that choose single tokens: every lane keeps those of the highest score among what
// left the window. torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_TOKEN_RETENTION_H_
#define KVLA_KV_EFFICIENT_METHODS_TOKEN_RETENTION_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/methods/cache_config.h"
#include "kv_efficient/methods/cache_policy.h"
#include "kv_efficient/methods/method_table.h"

namespace kvla {

// The instruction and the window stay in any case, beside `budget_tokens` of each lane. Decides
// whenever a chunk leaves. A decision's score is the share of the chunk that lanes still hold.
class TokenRetention : public CachePolicy {
 public:
  TokenRetention(const CacheConfig& config, const CacheGeometry& geometry)
      : geometry_(geometry), budget_(config.budget_tokens), chunk_blocks_(config.chunk_blocks) {}

  Plan PlanLeaving(const ChunkView& chunk, const FarState& state) final;
  float Score(const ChunkView&) final { return 0; }
  // A score a token, and the choice among them. The mass is the cache's own.
  MethodCost cost() const override;

 protected:
  // By lane: of each far token, the instruction's too, then of each of the leaving chunk; higher is
  // kept, of equals the newer.
  virtual std::vector<std::vector<float>> ScoreTokens(const ChunkView& chunk,
                                                      const FarState& state) const = 0;
  const CacheGeometry& geometry() const { return geometry_; }
  // Tokens that are scored at a time, of all lanes.
  int64_t scored_tokens() const;

 private:
  CacheGeometry geometry_;
  int budget_, chunk_blocks_;
};

// The row of such a method in the table.
template <class T>
CacheMethod TokenMethod(std::string name, std::string help) {
  CacheMethod method{std::move(name), std::move(help), {"budget_tokens"}};
  method.make = [](const CacheConfig& config, const CacheGeometry& geometry) {
    return Result<std::unique_ptr<CachePolicy>>(std::make_unique<T>(config, geometry));
  };
  return method;
}

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_TOKEN_RETENTION_H_
