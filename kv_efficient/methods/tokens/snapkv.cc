// SPDX-License-Identifier: Apache-2.0
// SnapKV as a stream: each head keeps the tokens, and their neighbours, that the queries of the
// newest frame blocks attend to. The published rule sees one prompt once; here it decides anew
// whenever a chunk leaves.
#include "kv_efficient/methods/tokens/observed_attention.h"
#include "kv_efficient/methods/tokens/token_retention.h"

namespace kvla {
namespace {

class SnapKv : public TokenRetention {
 public:
  using TokenRetention::TokenRetention;
  Needs needs() const override { return {.attention_blocks = kObservedBlocks}; }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<SnapKv>(*this); }

 protected:
  std::vector<std::vector<float>> ScoreTokens(const ChunkView&, const FarState& state) override {
    std::vector<std::vector<float>> scores;
    for (const LaneState& lane : state.lanes) scores.push_back(PooledAttention(lane));
    return scores;
  }
};

}  // namespace

CacheMethod SnapKvMethod() {
  return TokenMethod<SnapKv>(
      "snapkv", "each head keeps the tokens that recent queries attend to, and their neighbours");
}

}  // namespace kvla
