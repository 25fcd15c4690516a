// SPDX-License-Identifier: Apache-2.0
// Attention that is to be expected (Devoto et al., Expected Attention: KV Cache Compression by
// Estimating Attention from Future Queries Distribution, arXiv 2510.00636): queries as they were so
// far have a mean and a covariance; a key's expected weight under a normal distribution of them,
// times the norm of its value. The query to come is that of the next block; where far tokens are at
// one distance, its position does not matter.
#include "kv_efficient/methods/tokens/token_retention.h"
#include "kv_efficient/methods/tokens/turned_keys.h"
#include "kv_efficient/query_statistics.h"
#include "kv_efficient/saved_state.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

class ExpectedAttention : public TokenRetention {
 public:
  ExpectedAttention(const CacheConfig& config, const CacheGeometry& geometry)
      : TokenRetention(config, geometry), statistics_(geometry), turned_(config, geometry) {}

  Needs needs() const override { return {.far_keys_values = true, .queries = true}; }
  void Reset(const EpisodeFacts&) override { statistics_.Reset(); }
  void OnQueries(int layer, const HeadRows& q) override { statistics_.Add(layer, q); }
  std::unique_ptr<CachePolicy> Clone() const override {
    return std::make_unique<ExpectedAttention>(*this);
  }
  MethodCost cost() const override {
    MethodCost cost = TokenRetention::cost();
    cost.held_bytes = statistics_.bytes();
    cost.plan_flops += 2.0 * static_cast<double>(scored_tokens()) * geometry().group() *
                       geometry().head_dim * (geometry().head_dim + 2);
    cost.block_flops = statistics_.block_flops();
    return cost;
  }

  std::vector<uint8_t> SaveState() const override {
    ByteWriter out;
    out.List(statistics_.counts());
    out.List(statistics_.sums());
    return out.Take();
  }
  Status RestoreState(std::span<const uint8_t> bytes) override {
    ByteReader in(bytes);
    std::vector<int64_t> counts;
    std::vector<float> sums;
    if (!in.List(&counts) || !in.List(&sums) || !in.done() ||
        !statistics_.Restore(std::move(counts), std::move(sums))) {
      return BadInput("the saved state does not belong to 'expected_attention' of this cache");
    }
    return {};
  }

 protected:
  std::vector<std::vector<float>> ScoreTokens(const ChunkView& chunk,
                                              const FarState& state) override {
    const CacheGeometry& g = geometry();
    std::vector<std::vector<float>> scores;
    for (size_t lane = 0; lane < state.lanes.size(); ++lane) {
      const int layer = static_cast<int>(lane) / g.kv_heads;
      const int kv_head = static_cast<int>(lane) % g.kv_heads;
      const at::Tensor keys =
          turned_.Of(state.lanes[lane].keys, chunk, Competing(chunk, state.lanes[lane]));
      at::Tensor weight = torch::zeros({keys.size(0)});
      for (int i = 0; i < g.group(); ++i) {
        const int head = kv_head * g.group() + i;
        std::vector<float> mean = statistics_.Mean(layer, head);
        std::vector<float> covariance = statistics_.Covariance(layer, head);
        const at::Tensor mu = torch::from_blob(mean.data(), {g.head_dim});
        const at::Tensor sigma = torch::from_blob(covariance.data(), {g.head_dim, g.head_dim});
        const auto width = static_cast<double>(g.head_dim);
        const at::Tensor logit = torch::matmul(keys, mu) / std::sqrt(width) +
                                 (torch::matmul(keys, sigma) * keys).sum(1) / (2 * width);
        weight += logit.softmax(0);
      }
      const at::Tensor score =
          (weight * torch::linalg_vector_norm(state.lanes[lane].values.cpu(), 2, {-1}))
              .contiguous();
      const float* data = score.const_data_ptr<float>();
      scores.emplace_back(data, data + score.numel());
    }
    return scores;
  }

 private:
  QueryStatistics statistics_;
  TurnedKeys turned_;
};

}  // namespace

CacheMethod ExpectedAttentionMethod() {
  return TokenMethod<ExpectedAttention>(
      "expected_attention",
      "each head keeps the tokens that queries like those so far would attend to");
}

}  // namespace kvla
