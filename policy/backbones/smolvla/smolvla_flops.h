// SPDX-License-Identifier: Apache-2.0
// What an inference of SmolVLA computes, by part. No torch.
#ifndef KVLA_POLICY_BACKBONES_SMOLVLA_SMOLVLA_FLOPS_H_
#define KVLA_POLICY_BACKBONES_SMOLVLA_SMOLVLA_FLOPS_H_

#include <cstdint>

#include "policy/backbones/smolvla/smolvla_config.h"

namespace kvla {

// A multiply-add is 2 FLOPs; norms, activations, softmax, rotations and resizing are left out.
struct SmolVlaFlops {
  double vision = 0;     // all images, the connector included
  double linear = 0;     // the language model's layers over the prefix, and the state's map
  double attention = 0;  // theirs
  double expert_linear = 0;
  double expert_attention = 0;  // all Euler steps, over the prefix and over the actions
  double total() const { return vision + linear + attention + expert_linear + expert_attention; }
};

// Of one inference over so many images and prompt tokens, whose queries also see `history` tokens
// of earlier ones.
SmolVlaFlops SmolVlaFlopsOf(const SmolVlaConfig& config, int images, int prompt,
                            int64_t history = 0);

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_SMOLVLA_SMOLVLA_FLOPS_H_
