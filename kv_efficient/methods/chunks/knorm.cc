// SPDX-License-Identifier: Apache-2.0
// Keys of small norm draw attention (Devoto et al., A Simple and Effective L2 Norm-Based Strategy
// for KV Cache Compression, arXiv 2406.11430): the chunks whose keys are shortest are kept.
#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/methods/cache_config.h"
#include "kv_efficient/methods/cache_policy.h"
#include "kv_efficient/methods/method_table.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

class Knorm : public CachePolicy {
 public:
  Knorm(const CacheConfig& config, const CacheGeometry& geometry)
      : CachePolicy(RuleOf(config, geometry)),
        keys_(int64_t{geometry.lanes()} * config.chunk_blocks * geometry.tokens_per_block),
        head_dim_(geometry.head_dim) {}

  Needs needs() const override { return {.keys_values = true}; }
  // The paper's score of a token, minus the norm of its key, as the mean over the chunk's tokens,
  // layers and heads. At most 0. Rotation does not change a norm.
  float Score(const ChunkView& chunk) override {
    return -torch::linalg_vector_norm(chunk.keys, 2, {-1}).mean().item<float>();
  }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Knorm>(*this); }
  // A norm a key; nothing is held between chunks.
  MethodCost cost() const override {
    return {.transient_bytes = keys_ * static_cast<int64_t>(sizeof(float)),
            .plan_flops = 2.0 * static_cast<double>(keys_) * head_dim_};
  }

 private:
  int64_t keys_;  // of a chunk, over all lanes
  int head_dim_;
};

}  // namespace

CacheMethod KnormMethod() {
  CacheMethod method{"knorm", "keeps the chunks whose keys are shortest", WithBudget({"keep"})};
  method.scores = true;
  method.usual_budget = 8;
  method.make = [](const CacheConfig& config, const CacheGeometry& geometry) {
    return Result<std::unique_ptr<CachePolicy>>(std::make_unique<Knorm>(config, geometry));
  };
  return method;
}

}  // namespace kvla
