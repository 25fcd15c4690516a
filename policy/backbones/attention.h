// SPDX-License-Identifier: Apache-2.0
// Attention of one sequence over keys and values that lie together. torch.
#ifndef KVLA_POLICY_BACKBONES_ATTENTION_H_
#define KVLA_POLICY_BACKBONES_ATTENTION_H_

#include <ATen/core/Tensor.h>

#include "kv_efficient/attended_rows.h"

namespace kvla {

// q [heads, n, head_dim], k and v [kv_heads, m, head_dim], as they are (rotated), all f32; scores
// are divided by sqrt(head_dim). The query heads of a KV head are the rows of one call.
AttendedRows AttendAll(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

// The same where query i sees the keys 0 .. i only. REQUIRES: n == m.
AttendedRows AttendCausal(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

// Softmax over the keys of both.
AttendedRows Merged(const AttendedRows& a, const AttendedRows& b);

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_ATTENTION_H_
