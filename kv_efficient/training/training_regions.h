// SPDX-License-Identifier: Apache-2.0
// What attention over a whole history works on: the two regions of keys as queries meet them, and
// how parts of one softmax are put together. torch.
#ifndef KVLA_KV_EFFICIENT_TRAINING_TRAINING_REGIONS_H_
#define KVLA_KV_EFFICIENT_TRAINING_TRAINING_REGIONS_H_

#include <ATen/core/Tensor.h>

#include "kv_efficient/training/training_attention.h"

namespace kvla {

// Below any logit, so that its weight is exactly 0, and finite, so that a row that sees nothing of
// a region has a log-sum-exp to merge with.
inline constexpr float kUnseenLogit = -30000.0F;

// [B, heads or kv_heads, rows, D], queries and keys rotated.
struct Regions {
  at::Tensor near_query, near_keys, near_values;
  at::Tensor far_query, far_keys, far_values;
};

// The summaries of the complete chunks: x [B, kv_heads, I + N*T, D] -> [B, kv_heads, S*T, D].
at::Tensor SummariesOf(const at::Tensor& x, const TrainingPlan& plan);

// q, k and v as TrainingAttention() takes them.
Regions MakeRegions(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                    const at::Tensor& key_summaries, const at::Tensor& value_summaries,
                    const TrainingPlan& plan);

// Keys of the query heads: each KV head serves a group.
at::Tensor Spread(const at::Tensor& x, int64_t group);

double ScaleOf(const at::Tensor& q);

// Attention over some of the keys: [B, heads, rows, D], and the log of the sum of exponentials,
// [B, heads, rows].
struct PartialAttention {
  at::Tensor out, lse;
};

// LibTorch's fused kernel on a CPU; `mask` is added to the logits.
PartialAttention AttendPart(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const at::Tensor& mask, double scale);
// Attention over the keys of both.
void Merge(const PartialAttention& more, PartialAttention* into);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_TRAINING_TRAINING_REGIONS_H_
