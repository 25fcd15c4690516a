// SPDX-License-Identifier: Apache-2.0
// The memory of a recurrent policy: frame blocks into a GRU's state, and the state as tokens that
// the decoder reads beside the block. Includes torch.
#ifndef KVLA_POLICY_COMPACT_NET_RECURRENT_MEMORY_H_
#define KVLA_POLICY_COMPACT_NET_RECURRENT_MEMORY_H_

#include "policy/compact/policy_config.h"
#include "tensors/torch.h"

namespace kvla {

// Blocks a gradient goes back through the state at most: beyond, states are taken as they are.
inline constexpr int64_t kGradientBlocks = 512;

// The state depends on encoded blocks and the instruction alone, not on the decoder: a history's
// states are one pass of the GRU, after which all blocks go through the decoder at once.
class RecurrentMemoryImpl : public torch::nn::Module {
 public:
  explicit RecurrentMemoryImpl(const PolicyConfig& config);

  // blocks [samples, n, tokens_per_block, hidden] in order; instruction [samples or 1, hidden], the
  // mean of its tokens; before [samples, recurrent_size]. The state after each block, [samples, n,
  // recurrent_size], in f32, under autocast too.
  torch::Tensor States(const torch::Tensor& blocks, const torch::Tensor& instruction,
                       const torch::Tensor& before);
  // [..., recurrent_size] -> [..., recurrent_tokens, hidden]
  torch::Tensor Tokens(const torch::Tensor& states);

 private:
  int tokens_, hidden_size_;
  torch::nn::Linear read_{nullptr}, say_{nullptr};
  torch::nn::GRU gru_{nullptr};
};
TORCH_MODULE(RecurrentMemory);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_NET_RECURRENT_MEMORY_H_
