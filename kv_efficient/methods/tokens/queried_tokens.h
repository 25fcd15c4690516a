// SPDX-License-Identifier: Apache-2.0
// Methods that choose tokens by what queries of the episode would ask of them. torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_TOKENS_QUERIED_TOKENS_H_
#define KVLA_KV_EFFICIENT_METHODS_TOKENS_QUERIED_TOKENS_H_

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kv_efficient/methods/tokens/token_retention.h"
#include "kv_efficient/methods/tokens/turned_keys.h"
#include "kv_efficient/saved_state.h"

namespace kvla {

// `Queries` is what is remembered of them: QueryRing or QueryStatistics.
template <class Queries>
class QueriedTokens : public TokenRetention {
 public:
  Needs needs() const override { return {.far_keys_values = true, .queries = true}; }
  void Reset(const EpisodeFacts& /*facts*/) override { queries_.Reset(); }
  void OnQueries(int layer, const HeadRows& q) override { queries_.Add(layer, q); }
  // Beside that of choosing tokens, what is remembered.
  MethodCost cost() const override {
    MethodCost cost = TokenRetention::cost();
    cost.held_bytes = queries_.bytes();
    return cost;
  }

  std::vector<uint8_t> SaveState() const override {
    ByteWriter out;
    out.List(queries_.counts());
    out.List(queries_.values());
    return out.Take();
  }
  Status RestoreState(std::span<const uint8_t> bytes) override {
    ByteReader in(bytes);
    std::vector<int64_t> counts;
    std::vector<float> values;
    if (!in.List(&counts) || !in.List(&values) || !in.done() ||
        !queries_.Restore(std::move(counts), std::move(values))) {
      return BadInput(
          fmt::format("the saved state does not belong to '{}' of this cache", method_));
    }
    return {};
  }

 protected:
  QueriedTokens(const CacheConfig& config, const CacheGeometry& geometry, Queries queries)
      : TokenRetention(config, geometry),
        method_(config.policy),
        queries_(std::move(queries)),
        turned_(config, geometry) {}

  const Queries& queries() const { return queries_; }
  // [tokens, head_dim] of what competes in a lane, as queries meet it that are not turned.
  at::Tensor KeysAsAsked(const ChunkView& chunk, const LaneState& lane) const {
    return turned_.Of(lane.keys, chunk, Competing(chunk, lane));
  }

 private:
  std::string method_;
  Queries queries_;
  TurnedKeys turned_;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_TOKENS_QUERIED_TOKENS_H_
