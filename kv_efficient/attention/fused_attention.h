// SPDX-License-Identifier: Apache-2.0
// LibTorch's fused attention over one region of a cache on a CUDA device, and the merge of two.
// torch.
#ifndef KVLA_KV_EFFICIENT_ATTENTION_FUSED_ATTENTION_H_
#define KVLA_KV_EFFICIENT_ATTENTION_FUSED_ATTENTION_H_

#include <ATen/core/Tensor.h>

#include "kv_efficient/store/chunk_store.h"

namespace kvla {

// Attention over some of the keys: normalised output and the log of its normaliser.
struct Attended {
  at::Tensor out;  // [1, kv_heads, rows, head_dim]
  at::Tensor lse;  // [1, kv_heads, rows]
};

// query [1, kv_heads, rows, head_dim], rotated; rows = group * tokens, the query heads of a group
// one after the other; scale 1 / sqrt(head_dim).
Attended FusedAttention(const at::Tensor& query, const LaneView& view);

// Softmax over both sets of keys, from `a` and `b` (b.out undefined: a alone), into the KV heads
// from `kv_head` on of out [tokens, heads, head_dim].
void MergeAttended(const Attended& a, const Attended& b, int kv_head, int group, at::Tensor* out);

// Attention each key received, summed over the rows: [kv_heads, tokens]. lse [1, kv_heads, rows] is
// that of the whole softmax.
at::Tensor KeyMass(const at::Tensor& query, const LaneView& view, const at::Tensor& lse);

// Attention of the instruction tokens among themselves, or of any queries that see all keys as they
// are. q [..., heads, n, head_dim], k, v [..., kv_heads, m, head_dim]. Any device; differentiable.
at::Tensor InstructionAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_ATTENTION_FUSED_ATTENTION_H_
