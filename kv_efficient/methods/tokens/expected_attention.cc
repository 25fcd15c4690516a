// SPDX-License-Identifier: Apache-2.0
// Attention that is to be expected (Devoto et al., Expected Attention: KV Cache Compression by
// Estimating Attention from Future Queries Distribution, arXiv 2510.00636): queries as they were so
// far have a mean and a covariance; a key's expected weight under a normal distribution of them,
// times the norm of its value. The query to come is that of the next block; where far tokens are at
// one distance, its position does not matter.
#include "kv_efficient/methods/tokens/queried_tokens.h"
#include "kv_efficient/query_statistics.h"
#include "tensors/floats.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

class ExpectedAttention : public QueriedTokens<QueryStatistics> {
 public:
  ExpectedAttention(const CacheConfig& config, const CacheGeometry& geometry)
      : QueriedTokens(config, geometry, QueryStatistics(geometry)) {}

  std::unique_ptr<CachePolicy> Clone() const override {
    return std::make_unique<ExpectedAttention>(*this);
  }
  MethodCost cost() const override {
    MethodCost cost = QueriedTokens::cost();
    cost.plan_flops += 2.0 * static_cast<double>(scored_tokens()) * geometry().group() *
                       geometry().head_dim * (geometry().head_dim + 2);
    cost.block_flops = queries().block_flops();
    return cost;
  }

 protected:
  std::vector<std::vector<float>> ScoreTokens(const ChunkView& chunk,
                                              const FarState& state) override {
    const CacheGeometry& g = geometry();
    std::vector<std::vector<float>> scores;
    for (size_t lane = 0; lane < state.lanes.size(); ++lane) {
      const int layer = static_cast<int>(lane) / g.kv_heads;
      const int kv_head = static_cast<int>(lane) % g.kv_heads;
      const at::Tensor keys = KeysAsAsked(chunk, state.lanes[lane]);
      at::Tensor weight = torch::zeros({keys.size(0)});
      for (int i = 0; i < g.group(); ++i) {
        const int head = kv_head * g.group() + i;
        std::vector<float> mean = queries().Mean(layer, head);
        std::vector<float> covariance = queries().Covariance(layer, head);
        const at::Tensor mu = torch::from_blob(mean.data(), {g.head_dim});
        const at::Tensor sigma = torch::from_blob(covariance.data(), {g.head_dim, g.head_dim});
        const auto width = static_cast<double>(g.head_dim);
        const at::Tensor logit = torch::matmul(keys, mu) / std::sqrt(width) +
                                 (torch::matmul(keys, sigma) * keys).sum(1) / (2 * width);
        weight += logit.softmax(0);
      }
      scores.push_back(
          FloatsOf(weight * torch::linalg_vector_norm(state.lanes[lane].values.cpu(), 2, {-1})));
    }
    return scores;
  }
};

}  // namespace

CacheMethod ExpectedAttentionMethod() {
  return TokenMethod<ExpectedAttention>(
      "expected_attention",
      "each head keeps the tokens that queries like those so far would attend to");
}

}  // namespace kvla
