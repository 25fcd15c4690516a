// SPDX-License-Identifier: Apache-2.0
// SmolVLA's flow-matching expert: noisy actions and a time to the velocity towards actions. torch.
#ifndef KVLA_POLICY_BACKBONES_SMOLVLA_ACTION_EXPERT_H_
#define KVLA_POLICY_BACKBONES_SMOLVLA_ACTION_EXPERT_H_

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "kv_efficient/rotary.h"
#include "policy/backbones/llama_layer.h"
#include "policy/backbones/named_weights.h"
#include "policy/backbones/prefix_attention.h"
#include "policy/backbones/smolvla/smolvla_config.h"
#include "policy/backbones/stages.h"

namespace kvla {

// Immutable.
class ActionExpert {
 public:
  // `rotary` reaches the longest prefix and the chunk behind it.
  ActionExpert(NamedWeights* weights, const SmolVlaConfig& config,
               std::shared_ptr<const RotaryTable> rotary);

  // Keys and values of the prefix as the layers that cross to it see them, by expert layer (others
  // are left undefined). They are the same at every step, so they are made once.
  std::vector<KvRows> CrossRows(PrefixAttention* prefix) const;

  // x [chunk, max_action] at `time` (1: noise, 0: actions) behind a prefix of so many tokens -> its
  // velocity, the same shape. Stages: NAMEsuffix, NAMElayer.I, NAMEvelocity.
  at::Tensor Velocity(const at::Tensor& x, float time, int prefix_tokens,
                      const std::vector<KvRows>& cross, PrefixAttention* prefix,
                      const StageFn& stage, const std::string& name) const;

 private:
  at::Tensor Embedded(const at::Tensor& x, float time) const;  // [chunk, hidden]

  SmolVlaConfig config_;
  std::shared_ptr<const RotaryTable> rotary_;
  std::vector<LlamaLayer> layers_;
  at::Tensor norm_;
  LinearMap action_in_, action_out_, time_in_, time_out_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_SMOLVLA_ACTION_EXPERT_H_
