// SPDX-License-Identifier: Apache-2.0
// What a recurrent policy (policy.memory) holds of one episode. No torch.
#ifndef KVLA_POLICY_COMPACT_RECURRENT_STATE_H_
#define KVLA_POLICY_COMPACT_RECURRENT_STATE_H_

#include <cstdint>
#include <vector>

namespace kvla {

// A plain value: a copy goes on as the original does.
struct RecurrentState {
  std::vector<float> hidden;       // [recurrent_size], of the GRU; zero at the beginning
  std::vector<float> instruction;  // [hidden_size], the mean of the instruction's tokens

  int64_t bytes() const {
    return static_cast<int64_t>((hidden.size() + instruction.size()) * sizeof(float));
  }
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_RECURRENT_STATE_H_
