// SPDX-License-Identifier: Apache-2.0
// What stands for a token of the far region. No torch.
#ifndef KVLA_KV_EFFICIENT_FAR_TOKEN_H_
#define KVLA_KV_EFFICIENT_FAR_TOKEN_H_

#include <cstdint>

namespace kvla {

// What summaries of a chunk are there: one a token slot, over its blocks, or one a frame block.
enum class SummaryKind : int32_t { kNone = 0, kSlots = 1, kFrames = 2 };

// One token of the far region: an original token, or the summary of `count` of them.
struct FarToken {
  int chunk = -1;      // -1: instruction
  int offset = 0;      // in the chunk (a summary: its token slot or block), or in the instruction
  int count = 1;       // tokens it stands for
  float position = 0;  // (mean) block index of the original tokens; -1: instruction
  SummaryKind summary = SummaryKind::kNone;
  float weight = 1;  // log(count * weight) is added to its logits

  // Whose rotation its key has, where far tokens keep their distance.
  int block() const { return position < 0 ? 0 : static_cast<int>(position); }
  bool original() const { return summary == SummaryKind::kNone; }
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_FAR_TOKEN_H_
