// SPDX-License-Identifier: Apache-2.0
// The policy's net on this CPU: VlaNet's arithmetic on the kernels of kernels/, many frames at a
// time. A frame's bits depend neither on the CPU nor on what other frames come with it.
#ifndef KVLA_POLICY_COMPACT_CPU_CPU_NET_H_
#define KVLA_POLICY_COMPACT_CPU_CPU_NET_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "kv_efficient/kv_cache.h"
#include "policy/compact/cpu/cpu_decoder.h"
#include "policy/compact/cpu/cpu_heads.h"
#include "policy/compact/cpu/cpu_image_encoder.h"
#include "policy/compact/cpu/cpu_recurrent_memory.h"
#include "policy/compact/net/block_forward.h"

namespace kvla {

class VlaNetImpl;

// Holds packed copies of the weights, not the net.
class CpuNet : public BlockForward {
 public:
  explicit CpuNet(const VlaNetImpl& net);

  void Encode(std::span<const FrameInput* const> frames, float* blocks) override;
  Status ReadInstruction(const at::Tensor& instruction, KvCache& cache) override;
  void Feed(std::span<KvCache* const> caches, float* blocks) override;
  void Act(std::span<const FrameInput* const> frames, const float* hidden,
           std::span<Targets> targets) override;
  RecurrentState BeginState(const at::Tensor& instruction) override;
  void Remember(std::span<RecurrentState* const> states, const float* encoded,
                float* blocks) override;

 private:
  CpuNet(const WeightSource& weights, const PolicyConfig& config);
  // [n * hidden], see VlaNet::EmbedInstruction().
  std::vector<float> EmbedInstruction(const at::Tensor& instruction) const;

  PolicyConfig config_;
  std::vector<CpuImageEncoder> encoders_;
  PackedMatrix state1_, state2_, text_map_;
  std::vector<float> state_norm_weight_, state_norm_bias_;
  std::vector<float> slot_embedding_, instruction_position_;
  std::vector<float> word_embedding_;  // [vocabulary, hidden], under text: words
  CpuDecoder decoder_;
  CpuHeads heads_;
  std::optional<CpuRecurrentMemory> memory_;  // under memory: recurrent
  std::vector<float> state_, queries_, attended_, log_sum_exp_, keys_, values_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_CPU_CPU_NET_H_
