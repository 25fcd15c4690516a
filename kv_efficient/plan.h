// SPDX-License-Identifier: Apache-2.0
// What a cache policy decides and a chunk store applies. No torch.
#ifndef KVLA_KV_EFFICIENT_PLAN_H_
#define KVLA_KV_EFFICIENT_PLAN_H_

#include <optional>
#include <vector>

#include "base/chunk_decision.h"
#include "kv_efficient/far_token.h"

namespace kvla {

// Half-open range of token offsets inside a chunk, [0, chunk_blocks * tokens_per_block).
struct TokenRange {
  int begin = 0;
  int end = 0;
};

// What one lane (layer, KV head) keeps of one chunk: ranges in ascending order, and `summarize`
// over the whole chunk.
struct ChunkCut {
  int chunk = 0;
  std::vector<TokenRange> keep{};
  SummaryKind summarize = SummaryKind::kNone;
};

// What a lane's far tokens, the instruction aside, are from now on: in the order in which the lane
// then holds them.
struct LaneFit {
  std::vector<float> weights;  // FarToken::weight: finite, above 0
  std::vector<float> values;   // [tokens, head_dim]
};

struct LanePlan {
  std::vector<ChunkCut> cuts{};  // for chunks named in Plan::decisions
  std::optional<LaneFit> fit{};
};

// Decides the chunk that leaves and may decide older chunks again (to less than they hold).
struct Plan {
  std::vector<ChunkDecision> decisions;
  // Empty: every lane does what the decisions say. Else one entry a lane, index
  // layer * kv_heads + kv_head; a decided chunk without a cut follows its decision.
  std::vector<LanePlan> lanes;
};

// A decision with the block after whose end it was taken: in force for later blocks.
struct DecisionEvent {
  int block = 0;
  ChunkDecision decision;
};

// The state of one chunk of an episode.
struct ChunkRecord {
  ChunkDecision decision;  // action kWindow while it is near
  int decided_block = -1;  // block after whose end the last decision was taken
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_PLAN_H_
