// SPDX-License-Identifier: Apache-2.0
// What stands for a token of the far region. No torch.
#ifndef KVLA_KV_EFFICIENT_FAR_TOKEN_H_
#define KVLA_KV_EFFICIENT_FAR_TOKEN_H_

#include <cstdint>

namespace kvla {

// One token of the far region: an original token, or the summary of `count` of them.
struct FarToken {
  int chunk = -1;       // -1: instruction
  int offset = 0;       // in the chunk (a summary: its token slot), or in the instruction
  int count = 1;        // tokens it stands for; log(count) is added to its logits
  float position = 0;   // (mean) block index of the original tokens; -1: instruction
  int32_t summary = 0;  // 1: a summary (no bool, so that saved states have no padding)

  // Whose rotation its key has, where far tokens keep their distance.
  int block() const { return position < 0 ? 0 : static_cast<int>(position); }
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_FAR_TOKEN_H_
