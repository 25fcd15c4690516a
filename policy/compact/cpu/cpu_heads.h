// SPDX-License-Identifier: Apache-2.0
// VlaNet::Heads() as far as an action chunk needs them, on the kernels of kernels/. No torch.
#ifndef KVLA_POLICY_COMPACT_CPU_CPU_HEADS_H_
#define KVLA_POLICY_COMPACT_CPU_CPU_HEADS_H_

#include <array>
#include <span>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/weight_source.h"
#include "policy/compact/policy_config.h"
#include "policy/dimensions.h"

namespace kvla {

// Not thread-safe: it has buffers.
class CpuHeads {
 public:
  using Targets = std::vector<std::array<float, kTargetDim>>;  // [replan_steps], see Inference

  CpuHeads(const WeightSource& weights, const PolicyConfig& config);

  // hidden [frames, tokens_per_block * hidden_size]; a frame's proprioception and targets each.
  void Run(const float* hidden, std::span<const std::array<float, kProprioDim>> proprio,
           std::span<Targets> targets);

 private:
  // What a frame's heads read of the block, as one product has it.
  struct Row {
    float* classes;   // [classes]
    float* places;    // [classes, 3]
    float* waypoint;  // [kHeadWidth], the waypoint head's first layer
    float* action;    // [kHeadWidth], the action head's, but for what it is told of the way
  };
  Row RowOf(size_t frame);

  int classes_, replan_steps_, block_width_;
  bool from_hand_, choose_;
  PackedMatrix block_;  // all that read the block, one below the other
  PackedMatrix waypoint_, aim_, action_;
  std::vector<float> read_, way_, aims_, actions_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_CPU_CPU_HEADS_H_
