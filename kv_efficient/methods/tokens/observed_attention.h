// SPDX-License-Identifier: Apache-2.0
// What SnapKV makes of the attention of recent queries (Li et al., SnapKV: LLM Knows What You are
// Looking for Before Generation, arXiv 2404.14469). No torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_TOKENS_OBSERVED_ATTENTION_H_
#define KVLA_KV_EFFICIENT_METHODS_TOKENS_OBSERVED_ATTENTION_H_

#include <algorithm>
#include <vector>

#include "kv_efficient/methods/cache_policy.h"

namespace kvla {

// Frame blocks whose queries observe: 32 queries at 8 tokens a block, the paper's window.
inline constexpr int kObservedBlocks = 4;
inline constexpr int kPooledTokens = 5;

// Of a lane's tokens (the instruction aside, which counts 0): attention averaged over five
// neighbours, with zeros beyond both ends.
inline std::vector<float> PooledAttention(const LaneState& lane) {
  const auto instruction = static_cast<size_t>(
      std::ranges::count(lane.far, -1, [](const FarToken& token) { return token.chunk; }));
  std::vector<float> pooled(lane.mass.size(), 0.0F);
  constexpr size_t kReach = kPooledTokens / 2;
  for (size_t i = instruction; i < pooled.size(); ++i) {
    const size_t begin = i < instruction + kReach ? instruction : i - kReach;
    for (size_t j = begin; j < std::min(i + kReach + 1, pooled.size()); ++j) {
      pooled[i] += lane.mass[j] / kPooledTokens;
    }
  }
  return pooled;
}

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_TOKENS_OBSERVED_ATTENTION_H_
