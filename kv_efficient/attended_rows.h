// SPDX-License-Identifier: Apache-2.0
// What some queries attended to, so that it can be joined with what they attend to elsewhere.
// torch.
#ifndef KVLA_KV_EFFICIENT_ATTENDED_ROWS_H_
#define KVLA_KV_EFFICIENT_ATTENDED_ROWS_H_

#include <ATen/core/Tensor.h>

namespace kvla {

// Two of them over different keys make one over both: out weighted by exp(log_sum_exp).
struct AttendedRows {
  at::Tensor out;          // [heads, n, head_dim]
  at::Tensor log_sum_exp;  // [heads, n], of the scores after scaling
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_ATTENDED_ROWS_H_
