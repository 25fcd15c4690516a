// SPDX-License-Identifier: Apache-2.0
// Queries, keys or values of some tokens, wherever a projection has put them. No torch.
#ifndef KVLA_KV_EFFICIENT_HEAD_ROWS_H_
#define KVLA_KV_EFFICIENT_HEAD_ROWS_H_

#include <cstdint>

namespace kvla {

// head_dim floats of head h and token t, at data + h * head_stride + t * token_stride. Borrowed.
struct HeadRows {
  const float* data = nullptr;
  int64_t head_stride = 0, token_stride = 0;
  const float* row(int head, int token) const {
    return data + head * head_stride + token * token_stride;
  }
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_HEAD_ROWS_H_
