// SPDX-License-Identifier: Apache-2.0
// Attention of a whole history at once, as the cache would have computed it block by block. torch.
#ifndef KVLA_KV_EFFICIENT_TRAINING_TRAINING_ATTENTION_H_
#define KVLA_KV_EFFICIENT_TRAINING_TRAINING_ATTENTION_H_

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "base/status.h"
#include "kv_efficient/rotary.h"
#include "kv_efficient/training/visibility.h"

namespace kvla {

// A run of query rows, and the keys that any of them sees.
struct QuerySlice {
  int64_t row = 0, rows = 0;
  int64_t near = 0, near_count = 0;
  int64_t far_count = 0;  // of the planned far columns, from the first
};

// Made once for a batch and used by every layer.
struct TrainingPlan {
  int instruction_tokens = 0, tokens_per_block = 0, chunk_blocks = 0, complete_chunks = 0;
  int64_t tokens = 0;    // N*T
  at::Tensor positions;  // int64 [B or 1, 1, N*T]: true block indices
  at::Tensor cos, sin;   // [B or 1, 1, N*T, D/2] of them
  // [D/2] of the age clamp; undefined where far tokens keep their distance.
  at::Tensor far_cos, far_sin;
  at::Tensor summary_cos, summary_sin;  // there: [B or 1, 1, S*T, D/2] of the summaries' positions
  // int64: the columns of Visibility::far that any query sees, by the first row that does.
  at::Tensor far_columns;
  // f32 [B or 1, 1, N*T, N*T + far_columns]: 0 or log(count) where seen, else far below any logit.
  at::Tensor mask;
  std::vector<QuerySlice> slices;
};

// One entry of `samples` serves the whole batch, or there is one for each element; all must have
// the same numbers of blocks, complete chunks and instruction tokens (pad with later blocks:
// nothing sees them). REQUIRES: rotary reaches every position and the age clamp (0: far tokens keep
// their distance, as in KvCache).
Result<TrainingPlan> PlanTraining(std::span<const Visibility> samples, const RotaryTable& rotary,
                                  int age_clamp_blocks, at::Device device);

// q [B, heads, N*T, D]; k, v [B, kv_heads, I + N*T, D], instruction first; all un-rotated.
// `far_bias`: [B or 1, kv_heads, I + N*T + S*T], added to the logits of far columns, or undefined.
// Returns [B, heads, N*T, D]. Differentiable, in the bias too; agrees with KvCache::Attend within
// 1e-5 in f32. f32, under autocast too. Fused on the CPU.
at::Tensor TrainingAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             const TrainingPlan& plan, const at::Tensor& far_bias = {});

// The same by plain matrix products and softmax: the oracle of the fused path.
at::Tensor PlainTrainingAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const TrainingPlan& plan, const at::Tensor& far_bias = {});

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_TRAINING_TRAINING_ATTENTION_H_
