// SPDX-License-Identifier: Apache-2.0
// Token omission via attention (Oren et al., Transformers are Multi-State RNNs, arXiv 2401.06104):
// a layer keeps the tokens that the last query attends to most, by the mean over its heads. The
// last query is here the newest frame block, all of whose tokens ask at once.
#include "kv_efficient/methods/tokens/token_retention.h"

namespace kvla {
namespace {

class Tova : public TokenRetention {
 public:
  using TokenRetention::TokenRetention;
  Needs needs() const override { return {.attention_blocks = 1}; }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Tova>(*this); }

 protected:
  // The heads of a layer hold the same tokens: they decide as one. A sum orders as a mean does.
  std::vector<std::vector<float>> ScoreTokens(const ChunkView&, const FarState& state) override {
    std::vector<std::vector<float>> scores;
    const auto heads = static_cast<size_t>(geometry().kv_heads);
    for (size_t layer = 0; layer < state.lanes.size(); layer += heads) {
      std::vector<float> sum(state.lanes[layer].mass.size(), 0.0F);
      for (size_t head = 0; head < heads; ++head) {
        for (size_t i = 0; i < sum.size(); ++i) sum[i] += state.lanes[layer + head].mass[i];
      }
      scores.insert(scores.end(), heads, sum);
    }
    return scores;
  }
};

}  // namespace

CacheMethod TovaMethod() {
  return TokenMethod<Tova>(
      "tova", "each layer keeps the tokens that the newest frame block attends to most");
}

}  // namespace kvla
