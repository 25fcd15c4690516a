// SPDX-License-Identifier: Apache-2.0
// Keys unlike the others (Park et al., KeyDiff: Key Similarity-Based KV Cache Eviction for
// Long-Context LLM Inference in Resource-Constrained Environments, arXiv 2504.15364): each head
// keeps the tokens whose keys are least similar to the mean of the normalised keys.
#include "kv_efficient/methods/tokens/token_retention.h"
#include "tensors/floats.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

class KeyDiff : public TokenRetention {
 public:
  using TokenRetention::TokenRetention;
  Needs needs() const override { return {.far_keys_values = true}; }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<KeyDiff>(*this); }
  MethodCost cost() const override {
    MethodCost cost = TokenRetention::cost();
    // Norm, mean and product of each key.
    cost.plan_flops += 3.0 * 2 * static_cast<double>(scored_tokens()) * geometry().head_dim;
    return cost;
  }

 protected:
  // Over the instruction, what was kept and the leaving chunk.
  std::vector<std::vector<float>> ScoreTokens(const ChunkView&, const FarState& state) override {
    std::vector<std::vector<float>> scores;
    for (const LaneState& lane : state.lanes) {
      const auto unit = [](const at::Tensor& x) {
        return x / torch::linalg_vector_norm(x, 2, {-1}, true).clamp_min(1e-12);
      };
      const at::Tensor keys = unit(lane.keys);
      const at::Tensor anchor = unit(keys.mean(0, true));
      scores.push_back(FloatsOf(-torch::matmul(keys, anchor.t()).squeeze(1)));
    }
    return scores;
  }
};

}  // namespace

CacheMethod KeyDiffMethod() {
  return TokenMethod<KeyDiff>("keydiff",
                              "each head keeps the tokens whose keys are least like the others'");
}

}  // namespace kvla
