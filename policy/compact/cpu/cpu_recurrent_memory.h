// SPDX-License-Identifier: Apache-2.0
// net/recurrent_memory.h on the kernels of kernels/, one block at a time. No torch.
#ifndef KVLA_POLICY_COMPACT_CPU_CPU_RECURRENT_MEMORY_H_
#define KVLA_POLICY_COMPACT_CPU_CPU_RECURRENT_MEMORY_H_

#include <span>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/weight_source.h"
#include "policy/compact/policy_config.h"
#include "policy/compact/recurrent_state.h"

namespace kvla {

// Not thread-safe: it has buffers.
class CpuRecurrentMemory {
 public:
  CpuRecurrentMemory(const WeightSource& weights, const PolicyConfig& config);

  // `tokens` [n, hidden]: the instruction's, embedded.
  RecurrentState Begin(std::span<const float> tokens) const;
  // See BlockForward::Remember().
  void Remember(std::span<RecurrentState* const> states, const float* encoded, float* blocks);

 private:
  int size_;                         // numbers of a state
  int64_t width_, encoded_, block_;  // floats of a token, a frame block, a block for the decoder
  PackedMatrix read_, from_input_, from_state_, say_;
  std::vector<float> rows_, inputs_, hidden_, by_input_, by_state_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_CPU_CPU_RECURRENT_MEMORY_H_
