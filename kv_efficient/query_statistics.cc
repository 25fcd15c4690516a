// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/query_statistics.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace kvla {

QueryStatistics::QueryStatistics(const CacheGeometry& geometry)
    : layers_(geometry.layers),
      heads_(geometry.heads),
      tokens_(geometry.tokens_per_block),
      head_dim_(geometry.head_dim),
      counts_(geometry.layers),
      sums_(stride() * geometry.layers * geometry.heads) {}

void QueryStatistics::Reset() {
  std::ranges::fill(counts_, 0);
  std::ranges::fill(sums_, 0.0F);
}

void QueryStatistics::Add(int layer, const HeadRows& q) {
  counts_[layer] += tokens_;
  for (int head = 0; head < heads_; ++head) {
    float* sum = sums_.data() + (static_cast<size_t>(layer) * heads_ + head) * stride();
    float* products = sum + head_dim_;
    for (int t = 0; t < tokens_; ++t) {
      const float* row = q.row(head, t);
      for (int i = 0; i < head_dim_; ++i) {
        sum[i] += row[i];
        for (int j = 0; j < head_dim_; ++j) products[i * head_dim_ + j] += row[i] * row[j];
      }
    }
  }
}

std::vector<float> QueryStatistics::Mean(int layer, int head) const {
  const float* sum = of(layer, head);
  std::vector<float> mean(sum, sum + head_dim_);
  for (float& m : mean) m /= static_cast<float>(counts_[layer]);
  return mean;
}

std::vector<float> QueryStatistics::Covariance(int layer, int head) const {
  const std::vector<float> mean = Mean(layer, head);
  const float* products = of(layer, head) + head_dim_;
  std::vector<float> covariance(products, products + static_cast<ptrdiff_t>(head_dim_) * head_dim_);
  for (int i = 0; i < head_dim_; ++i) {
    for (int j = 0; j < head_dim_; ++j) {
      float& c = covariance[i * head_dim_ + j];
      c = c / static_cast<float>(counts_[layer]) - mean[i] * mean[j];
    }
  }
  return covariance;
}

int64_t QueryStatistics::bytes() const {
  return static_cast<int64_t>(sums_.size() * sizeof(float) + counts_.size() * sizeof(int64_t));
}

double QueryStatistics::block_flops() const {
  return 2.0 * layers_ * heads_ * tokens_ * static_cast<double>(stride());
}

bool QueryStatistics::Restore(std::vector<int64_t> counts, std::vector<float> sums) {
  const auto finite = [](float x) { return std::isfinite(x); };
  if (counts.size() != counts_.size() || sums.size() != sums_.size() ||
      std::ranges::any_of(counts, [](int64_t n) { return n < 0; }) ||
      !std::ranges::all_of(sums, finite)) {
    return false;
  }
  counts_ = std::move(counts);
  sums_ = std::move(sums);
  return true;
}

}  // namespace kvla
