// SPDX-License-Identifier: Apache-2.0
// ChunkGate::Step() on the kernels of kernels/: the same bits on every CPU. No torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_LEARNED_GATE_FORWARD_H_
#define KVLA_KV_EFFICIENT_METHODS_LEARNED_GATE_FORWARD_H_

#include <vector>

#include "kernels/weight_source.h"
#include "kv_efficient/methods/learned/gate_shape.h"

namespace kvla {

// The weights are read only; not thread-safe: there are buffers.
class GateForward {
 public:
  // The LSTM's state, [hidden] each; empty at the start of an episode, and without LSTM.
  struct State {
    std::vector<float> h, c;
  };

  // `weights`: of a ChunkGate of this shape.
  GateForward(const WeightSource& weights, const GateShape& shape);

  // features [tokens, features] of one chunk -> its logit; advances `state`.
  float Step(const float* features, int tokens, State* state);

 private:
  // Both into pooled_.
  void PoolMlp(int tokens);
  void PoolMean(int tokens);
  // aggregate_ after the chunks before it, into state->h.
  void Remember(State* state);

  GateShape shape_;
  std::vector<float> norm_weight_, norm_bias_;
  PackedMatrix token1_, token2_, chunk_, input_, recurrent_, head_;
  std::vector<float> normed_, inner_, tokens_, pooled_, aggregate_, gates_;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_LEARNED_GATE_FORWARD_H_
