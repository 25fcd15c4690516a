// SPDX-License-Identifier: Apache-2.0
// A policy's net over caches, whatever computes it: on this CPU (cpu/) or by LibTorch on a device.
#ifndef KVLA_POLICY_COMPACT_NET_BLOCK_FORWARD_H_
#define KVLA_POLICY_COMPACT_NET_BLOCK_FORWARD_H_

#include <ATen/core/Tensor.h>

#include <array>
#include <span>
#include <vector>

#include "base/status.h"
#include "kv_efficient/kv_cache.h"
#include "policy/compact/recurrent_state.h"
#include "policy/dimensions.h"
#include "policy/policy.h"

namespace kvla {

// Frames and caches are of one call's episodes, in one order. Blocks [frames, tokens_per_block,
// hidden] f32 on the host. Not thread-safe: there are buffers.
class BlockForward {
 public:
  using Targets = std::vector<std::array<float, kTargetDim>>;  // [replan_steps], see Inference

  virtual ~BlockForward() = default;
  // REQUIRES: images of the config's cameras and size.
  virtual void Encode(std::span<const FrameInput* const> frames, float* blocks) = 0;
  // instruction: of InstructionReader. Comes first, once an episode, after cache.Reset().
  virtual Status ReadInstruction(const at::Tensor& instruction, KvCache& cache) = 0;
  // Feeds each its block [decoder_tokens, hidden], in place: of its first tokens_per_block tokens
  // what the heads read. BeginBlock() and EndBlock() are the caller's. Throws c10::Error on a wrong
  // order of calls.
  virtual void Feed(std::span<KvCache* const> caches, float* blocks) = 0;
  virtual void Act(std::span<const FrameInput* const> frames, const float* hidden,
                   std::span<Targets> targets) = 0;

  // The rest is of recurrent policies (policy.memory). What an episode remembers at its beginning.
  virtual RecurrentState BeginState(const at::Tensor& instruction) = 0;
  // Takes each block of Encode() into its state, and says it: blocks [states, decoder_tokens,
  // hidden] for Feed().
  virtual void Remember(std::span<RecurrentState* const> states, const float* encoded,
                        float* blocks) = 0;
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_NET_BLOCK_FORWARD_H_
