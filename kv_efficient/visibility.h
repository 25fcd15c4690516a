// The training side of the cache: what each query would have seen, in one parallel pass. torch.
#ifndef KVLA_KV_EFFICIENT_VISIBILITY_H_
#define KVLA_KV_EFFICIENT_VISIBILITY_H_

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "base/status.h"
#include "kv_efficient/cache_config.h"
#include "kv_efficient/plan.h"
#include "kv_efficient/rotary.h"
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

// A run of query rows, and the keys that any of them sees.
struct QuerySlice {
  int64_t row = 0, rows = 0;
  int64_t near = 0, near_count = 0;
  int64_t far_count = 0;  // of the planned far columns, from the first
};

// Made once for a batch and used by every layer.
struct TrainingPlan {
  int instruction_tokens = 0, tokens_per_block = 0, chunk_blocks = 0, complete_chunks = 0;
  int64_t tokens = 0;           // N*T
  at::Tensor cos, sin;          // [B or 1, 1, N*T, D/2] of the true positions
  at::Tensor far_cos, far_sin;  // [D/2] of the age clamp
  // int64: the columns of Visibility::far that any query sees, by the first row that does.
  at::Tensor far_columns;
  // f32 [B or 1, 1, N*T, N*T + far_columns]: 0 or log(count) where seen, else far below any logit.
  at::Tensor mask;
  std::vector<QuerySlice> slices;
};

// One entry of `samples` serves the whole batch, or there is one for each element; all must have
// the same numbers of blocks, complete chunks and instruction tokens (pad with later blocks:
// nothing sees them). REQUIRES: rotary reaches every position and the age clamp.
Result<TrainingPlan> PlanTraining(std::span<const Visibility> samples, const RotaryTable& rotary,
                                  int age_clamp_blocks, at::Device device);

// q [B, heads, N*T, D]; k, v [B, kv_heads, I + N*T, D], instruction first; all un-rotated.
// Returns [B, heads, N*T, D]. Differentiable; agrees with KvCache::Attend within 1e-5 in f32.
// f32, under autocast too. Fused on the CPU.
at::Tensor TrainingAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             const TrainingPlan& plan);

// The same by plain matrix products and softmax: the oracle of the fused path, and differentiable
// in `far_bias` too, which is added to the logits of far columns: [B or 1, I + N*T + S*T] or
// undefined.
at::Tensor PlainTrainingAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const TrainingPlan& plan, const at::Tensor& far_bias = {});

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_VISIBILITY_H_
