// SPDX-License-Identifier: Apache-2.0
// The queries of some frame blocks, as they are before rotation. torch.
#ifndef KVLA_KV_EFFICIENT_QUERY_RING_H_
#define KVLA_KV_EFFICIENT_QUERY_RING_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/head_rows.h"

namespace kvla {

// Of the newest `blocks` blocks, or of the first ones of the episode. Not thread-safe.
class QueryRing {
 public:
  enum class Of { kNewest, kFirst };
  QueryRing(const CacheGeometry& geometry, int blocks, Of which);

  void Reset();
  // q [heads, tokens_per_block, head_dim] of one layer and block; every layer of a block once.
  void Add(int layer, const HeadRows& q);
  // The queries of the heads that one KV head serves: [group * blocks held * T, head_dim], heads
  // one after the other, blocks in no order.
  at::Tensor OfLane(int layer, int kv_head) const;

  int64_t bytes() const;
  const std::vector<int64_t>& counts() const { return counts_; }
  const std::vector<float>& values() const { return rows_; }
  // False, and nothing changes, for what counts() and values() of this geometry cannot be.
  bool Restore(std::vector<int64_t> counts, std::vector<float> rows);

 private:
  CacheGeometry geometry_;
  int blocks_;
  Of which_;
  std::vector<int64_t> counts_;  // blocks seen, by layer
  std::vector<float> rows_;      // [layers, heads, blocks, tokens_per_block, head_dim]
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_QUERY_RING_H_
