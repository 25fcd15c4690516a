// SPDX-License-Identifier: Apache-2.0
// ChunkGate::Step() on the kernels of kernels/: the same bits on every CPU. No torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_LEARNED_GATE_FORWARD_H_
#define KVLA_KV_EFFICIENT_METHODS_LEARNED_GATE_FORWARD_H_

#include <vector>

#include "kernels/weight_source.h"

namespace kvla {

// The weights are read only; not thread-safe: there are buffers.
class GateForward {
 public:
  // The LSTM's state, [hidden] each; empty at the start of an episode.
  struct State {
    std::vector<float> h, c;
  };

  // `weights`: of a ChunkGate.
  GateForward(const WeightSource& weights, int features, int hidden);

  // features [tokens, features] of one chunk -> its logit; advances `state`.
  float Step(const float* features, int tokens, State* state);

 private:
  int features_, hidden_;
  std::vector<float> norm_weight_, norm_bias_;
  PackedMatrix token1_, token2_, chunk_, input_, recurrent_, head_;
  std::vector<float> normed_, inner_, tokens_, pooled_, aggregate_, gates_;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_LEARNED_GATE_FORWARD_H_
