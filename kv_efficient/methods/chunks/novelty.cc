// SPDX-License-Identifier: Apache-2.0
// What is unlike the chunk before: the chunks whose values differ most from those of their
// predecessor are kept. A rule for "something changed" that looks at nothing else.
#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/chunk_summary.h"
#include "kv_efficient/methods/cache_config.h"
#include "kv_efficient/methods/cache_policy.h"
#include "kv_efficient/methods/method_table.h"
#include "kv_efficient/saved_state.h"
#include "tensors/floats.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

class Novelty : public CachePolicy {
 public:
  Novelty(const CacheConfig& config, const CacheGeometry& geometry)
      : CachePolicy(RuleOf(config, geometry)),
        shape_({geometry.layers, geometry.kv_heads, geometry.tokens_per_block, geometry.head_dim}),
        values_(int64_t{geometry.lanes()} * geometry.tokens_per_block * geometry.head_dim),
        chunk_blocks_(config.chunk_blocks) {}

  Needs needs() const override { return {.keys_values = true}; }
  void Reset(const EpisodeFacts&) override { last_ = at::Tensor(); }

  // The distance between the chunk's mean frame block and that of the chunk before, as the mean
  // over layers, heads and token slots of the norm of the difference of their values; 0 for the
  // first.
  float Score(const ChunkView& chunk) override {
    at::Tensor now = SummarizeChunk(chunk.values, chunk.blocks, static_cast<int>(shape_[2]));
    float score = 0;
    if (last_.defined()) {
      score = torch::linalg_vector_norm(now - last_, 2, {-1}).mean().item<float>();
    }
    last_ = std::move(now);
    return score;
  }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Novelty>(*this); }
  MethodCost cost() const override {
    return {.held_bytes = last_.defined() ? Bytes() : 0,
            .transient_bytes = 2 * Bytes(),
            .plan_flops = static_cast<double>(values_) * (chunk_blocks_ + 3)};
  }

  std::vector<uint8_t> SaveState() const override {
    ByteWriter out;
    if (last_.defined()) out.List(FloatsOf(last_));
    return out.Take();
  }

  Status RestoreState(std::span<const uint8_t> bytes) override {
    if (bytes.empty()) {
      last_ = at::Tensor();
      return {};
    }
    ByteReader in(bytes);
    std::vector<float> values;
    if (!in.List(&values) || !in.done() || static_cast<int64_t>(values.size()) != values_) {
      return BadInput("the saved state does not belong to the 'novelty' method of this cache");
    }
    last_ = torch::tensor(values).view(shape_);
    return {};
  }

 private:
  int64_t Bytes() const { return values_ * static_cast<int64_t>(sizeof(float)); }

  std::vector<int64_t> shape_;  // of last_
  int64_t values_;              // in last_
  int chunk_blocks_;
  at::Tensor last_;  // the mean frame block of the chunk before; undefined at first
};

}  // namespace

CacheMethod NoveltyMethod() {
  CacheMethod method{"novelty", "keeps the chunks that differ most from the one before",
                     WithBudget({"keep"})};
  method.scores = true;
  method.usual_budget = 8;
  method.make = [](const CacheConfig& config, const CacheGeometry& geometry) {
    return Result<std::unique_ptr<CachePolicy>>(std::make_unique<Novelty>(config, geometry));
  };
  return method;
}

}  // namespace kvla
