// SPDX-License-Identifier: Apache-2.0
// Heavy hitters (Zhang et al., H2O: Heavy-Hitter Oracle for Efficient Generative Inference of Large
// Language Models, arXiv 2306.14048): each head keeps the tokens that received the most attention
// since they came, beside the recent ones, which are the window here.
#include "kv_efficient/methods/tokens/token_retention.h"

namespace kvla {
namespace {

class H2o : public TokenRetention {
 public:
  using TokenRetention::TokenRetention;
  Needs needs() const override { return {.attention_blocks = 0}; }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<H2o>(*this); }

 protected:
  std::vector<std::vector<float>> ScoreTokens(const ChunkView&, const FarState& state) override {
    std::vector<std::vector<float>> scores;
    for (const LaneState& lane : state.lanes) scores.push_back(lane.mass);
    return scores;
  }
};

}  // namespace

CacheMethod H2oMethod() {
  return TokenMethod<H2o>("h2o", "each head keeps the tokens that received most attention so far");
}

}  // namespace kvla
