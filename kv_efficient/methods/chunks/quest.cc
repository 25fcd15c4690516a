// SPDX-License-Identifier: Apache-2.0
// Quest (Tang et al., Quest: Query-Aware Sparsity for Efficient Long-Context LLM Inference, arXiv
// 2406.10774): nothing is given up; of the old chunks each head reads those whose keys could answer
// a query best, by the range of every channel. It saves reads, not bytes.
#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/methods/cache_config.h"
#include "kv_efficient/methods/cache_policy.h"
#include "kv_efficient/methods/method_table.h"
#include "kv_efficient/rotary.h"
#include "kv_efficient/saved_state.h"
#include "tensors/floats.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

class Quest : public CachePolicy {
 public:
  Quest(const CacheConfig& config, const CacheGeometry& geometry)
      : geometry_(geometry),
        read_(config.read_chunks),
        chunk_tokens_(config.chunk_blocks * geometry.tokens_per_block),
        rotary_(std::make_shared<RotaryTable>(geometry.head_dim, geometry.rope_theta,
                                              geometry.max_blocks, geometry.positions_per_block)) {}

  Needs needs() const override { return {.keys_values = true, .selects = true}; }
  void Reset(const EpisodeFacts&) override { bounds_.clear(); }
  float Score(const ChunkView&) override { return 0; }

  Plan PlanLeaving(const ChunkView& chunk, const FarState&) override {
    at::Tensor keys = chunk.keys;  // as attention reads them
    if (!geometry_.clamps()) {
      keys = Rotate(keys, *rotary_,
                    TokenPositions(chunk.first_block, chunk.blocks, geometry_.tokens_per_block));
    }
    // [layers, kv_heads, 2, head_dim]
    bounds_.push_back(
        FloatsOf(torch::stack({std::get<0>(keys.min(2)), std::get<0>(keys.max(2))}, 2)));
    return {{{chunk.chunk, ChunkAction::kWhole, 0, ReasonCode::kAll}}, {}};
  }

  // A chunk's score is the largest that a key within its ranges could have with any of the queries.
  void SelectChunks(int lane, const FarQueries& q, std::vector<int>* chunks) override {
    const int width = geometry_.head_dim, count = static_cast<int>(bounds_.size());
    std::vector<std::pair<float, int>> scores;
    std::vector<float> sum(q.rows);
    for (int chunk = 0; chunk < count; ++chunk) {
      const float* low = bounds_[chunk].data() + int64_t{2} * lane * width;
      const float* high = low + width;
      std::ranges::fill(sum, 0.0F);
      for (int d = 0; d < width; ++d) {
        const float* query = q.data + int64_t{d} * q.stride;
        for (int r = 0; r < q.rows; ++r) {
          sum[r] += std::max(query[r] * low[d], query[r] * high[d]);
        }
      }
      scores.emplace_back(*std::ranges::max_element(sum), chunk);
    }
    const int most = std::min(read_, count);
    std::ranges::partial_sort(scores, scores.begin() + most, std::greater<>());
    for (int i = 0; i < most; ++i) chunks->push_back(scores[i].second);
    std::ranges::sort(*chunks);
  }

  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Quest>(*this); }
  MethodCost cost() const override {
    const double lanes = geometry_.lanes(), width = geometry_.head_dim;
    const double queries = int64_t{geometry_.group()} * geometry_.tokens_per_block;
    const auto chunks = static_cast<double>(bounds_.size());
    MethodCost cost;
    cost.held_bytes = static_cast<int64_t>(chunks * lanes * 2 * width * sizeof(float));
    // Comparisons count; two products, a maximum and a sum a channel and query.
    cost.plan_flops = 2 * lanes * chunk_tokens_ * width;
    cost.block_flops = 4 * lanes * chunks * queries * width;
    return cost;
  }

  std::vector<uint8_t> SaveState() const override {
    ByteWriter out;
    for (const std::vector<float>& of : bounds_) out.List(of);
    return out.Take();
  }
  Status RestoreState(std::span<const uint8_t> bytes) override {
    ByteReader in(bytes);
    std::vector<std::vector<float>> bounds;
    const auto values = size_t{2} * geometry_.lanes() * geometry_.head_dim;
    while (in.ok() && !in.done()) {
      std::vector<float> of;
      const bool good = in.List(&of) && of.size() == values &&
                        std::ranges::all_of(of, [](float x) { return std::isfinite(x); });
      if (!good) return BadInput("the saved state does not belong to 'quest' of this cache");
      bounds.push_back(std::move(of));
    }
    bounds_ = std::move(bounds);
    return {};
  }

 private:
  CacheGeometry geometry_;
  int read_, chunk_tokens_;
  std::shared_ptr<const RotaryTable> rotary_;
  std::vector<std::vector<float>> bounds_;  // by chunk: [lanes, 2, head_dim], least and largest
};

}  // namespace

CacheMethod QuestMethod() {
  CacheMethod method{
      "quest", "keeps everything and reads the chunks that could answer best", {"read_chunks"}};
  method.make = [](const CacheConfig& config, const CacheGeometry& geometry) {
    return Result<std::unique_ptr<CachePolicy>>(std::make_unique<Quest>(config, geometry));
  };
  return method;
}

}  // namespace kvla
