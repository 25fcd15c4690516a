// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/query_ring.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tensors/torch.h"

namespace kvla {

QueryRing::QueryRing(const CacheGeometry& geometry, int blocks, Of which)
    : geometry_(geometry),
      blocks_(blocks),
      which_(which),
      counts_(geometry.layers),
      rows_(static_cast<size_t>(geometry.layers) * geometry.heads * blocks *
            geometry.tokens_per_block * geometry.head_dim) {}

void QueryRing::Reset() {
  std::ranges::fill(counts_, 0);
  std::ranges::fill(rows_, 0.0F);
}

void QueryRing::Add(int layer, const HeadRows& q) {
  const int64_t block = counts_[layer]++;
  if (which_ == Of::kFirst && block >= blocks_) return;
  const int tokens = geometry_.tokens_per_block, width = geometry_.head_dim;
  for (int head = 0; head < geometry_.heads; ++head) {
    const int64_t place = (int64_t{layer} * geometry_.heads + head) * blocks_ + block % blocks_;
    float* to = rows_.data() + place * tokens * width;
    for (int t = 0; t < tokens; ++t, to += width) std::copy_n(q.row(head, t), width, to);
  }
}

at::Tensor QueryRing::OfLane(int layer, int kv_head) const {
  const int group = geometry_.group();
  const int64_t held = std::min<int64_t>(counts_[layer], blocks_);
  const int64_t width = geometry_.head_dim, tokens = geometry_.tokens_per_block;
  const int64_t head = int64_t{layer} * geometry_.heads + int64_t{kv_head} * group;
  return torch::from_blob(const_cast<float*>(rows_.data()) + head * blocks_ * tokens * width,
                          {group, blocks_, tokens, width})
      .narrow(1, 0, held)
      .clone()
      .reshape({group * held * tokens, width});
}

int64_t QueryRing::bytes() const {
  return static_cast<int64_t>(rows_.size() * sizeof(float) + counts_.size() * sizeof(int64_t));
}

bool QueryRing::Restore(std::vector<int64_t> counts, std::vector<float> rows) {
  const auto finite = [](float x) { return std::isfinite(x); };
  if (counts.size() != counts_.size() || rows.size() != rows_.size() ||
      std::ranges::any_of(counts, [&](int64_t n) { return n < 0 || n != counts[0]; }) ||
      !std::ranges::all_of(rows, finite)) {
    return false;
  }
  counts_ = std::move(counts);
  rows_ = std::move(rows);
  return true;
}

}  // namespace kvla
