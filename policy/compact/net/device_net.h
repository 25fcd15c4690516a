// SPDX-License-Identifier: Apache-2.0
// The policy's net by LibTorch, on any of its devices; includes torch. On a CPU it is what the
// tests measure cpu/ against.
#ifndef KVLA_POLICY_COMPACT_NET_DEVICE_NET_H_
#define KVLA_POLICY_COMPACT_NET_DEVICE_NET_H_

#include <span>

#include "policy/compact/net/block_forward.h"
#include "policy/compact/net/vla_net.h"
#include "tensors/torch.h"

namespace kvla {

// Shares the net, which must be on `device` already.
class DeviceNet : public BlockForward {
 public:
  DeviceNet(VlaNet net, torch::Device device) : net_(std::move(net)), device_(device) {}

  void Encode(std::span<const FrameInput* const> frames, float* blocks) override;
  Status ReadInstruction(const at::Tensor& instruction, KvCache& cache) override;
  void Feed(std::span<KvCache* const> caches, float* blocks) override;
  void Act(std::span<const FrameInput* const> frames, const float* hidden,
           std::span<Targets> targets) override;
  RecurrentState BeginState(const at::Tensor& instruction) override;
  void Remember(std::span<RecurrentState* const> states, const float* encoded,
                float* blocks) override;

 private:
  VlaNet net_;
  torch::Device device_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_NET_DEVICE_NET_H_
