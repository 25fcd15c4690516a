// SPDX-License-Identifier: Apache-2.0
// Running mean and covariance of the queries of every head, as they are before rotation. No torch.
#ifndef KVLA_KV_EFFICIENT_QUERY_STATISTICS_H_
#define KVLA_KV_EFFICIENT_QUERY_STATISTICS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/head_rows.h"

namespace kvla {

// Over all queries of the episode so far. Not thread-safe.
class QueryStatistics {
 public:
  explicit QueryStatistics(const CacheGeometry& geometry);

  void Reset();
  // q [heads, tokens_per_block, head_dim] of one layer and block.
  void Add(int layer, const HeadRows& q);
  int64_t queries(int layer) const { return counts_[layer]; }
  // [head_dim]. REQUIRES: queries(layer) > 0.
  std::vector<float> Mean(int layer, int head) const;
  // [head_dim, head_dim], of the population. REQUIRES: queries(layer) > 0.
  std::vector<float> Covariance(int layer, int head) const;

  int64_t bytes() const;
  double block_flops() const;  // of one block, all layers
  const std::vector<int64_t>& counts() const { return counts_; }
  const std::vector<float>& values() const { return sums_; }
  // False, and nothing changes, for what counts() and values() of this geometry cannot be.
  bool Restore(std::vector<int64_t> counts, std::vector<float> sums);

 private:
  size_t stride() const { return static_cast<size_t>(head_dim_) * (head_dim_ + 1); }
  const float* of(int layer, int head) const {
    return sums_.data() + (static_cast<size_t>(layer) * heads_ + head) * stride();
  }

  int layers_, heads_, tokens_, head_dim_;
  std::vector<int64_t> counts_;  // by layer
  std::vector<float> sums_;      // by layer and head: of the queries, then of their products
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_QUERY_STATISTICS_H_
