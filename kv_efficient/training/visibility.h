// SPDX-License-Identifier: Apache-2.0
// The training side of the cache: what each query would have seen, in one parallel pass. torch.
#ifndef KVLA_KV_EFFICIENT_TRAINING_VISIBILITY_H_
#define KVLA_KV_EFFICIENT_TRAINING_VISIBILITY_H_

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "base/status.h"
#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/plan.h"
#include "kv_efficient/schedule.h"

namespace kvla {

// What N sampled blocks of T tokens see, with I instruction tokens. Columns of `far` are
// [I instruction | N*T tokens | S*T summaries of the S complete chunks of the sample].
struct Visibility {
  int instruction_tokens = 0;
  int tokens_per_block = 0;
  int chunk_blocks = 0;
  int complete_chunks = 0;     // S; the first S * chunk_blocks sampled blocks
  std::vector<int> positions;  // [N] true block indices
  std::vector<int> chunks;     // [S] true chunk indices
  at::Tensor near;             // bool [N*T, N*T]
  at::Tensor far;              // bool [N*T, I + N*T + S*T]
  at::Tensor far_bias;         // f32 [I + N*T + S*T], log(count)
};

// `positions`: the true indices of the sampled blocks, strictly increasing. The sample must consist
// of whole chunks, but for the last one, which may be cut short at its end: else kBadInput.
// `events`: decisions by true chunk and block, in order, as KvCache::decision_log() records them;
// one is in force for queries in later blocks. A chunk that has left and was not decided is
// `otherwise`. To say "this action, from when it leaves" use an event at
// schedule.LeavesAfter(chunk).
Result<Visibility> BuildVisibility(const BlockSchedule& schedule, int instruction_tokens,
                                   int tokens_per_block, std::span<const int> positions,
                                   std::span<const DecisionEvent> events, ChunkAction otherwise);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_TRAINING_VISIBILITY_H_
