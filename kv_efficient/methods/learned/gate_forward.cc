// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/methods/learned/gate_forward.h"

#include <algorithm>
#include <cmath>

#include "kernels/kernels.h"

namespace kvla {
namespace {

void Linear(const PackedMatrix& weight, const std::vector<float>& x, int rows, bool add,
            std::vector<float>* out) {
  out->resize(static_cast<size_t>(rows) * weight.outputs());
  LinearJob job = DenseRows(weight, x.data(), rows, out->data());
  job.add = add;
  CpuKernels().linear(job);
}

float Sigmoid(float x) { return static_cast<float>(1 / (1 + std::exp(-double{x}))); }
float Tanh(float x) { return static_cast<float>(std::tanh(double{x})); }

}  // namespace

GateForward::GateForward(const WeightSource& weights, int features, int hidden)
    : features_(features),
      hidden_(hidden),
      norm_weight_(weights("norm.weight")),
      norm_bias_(weights("norm.bias")),
      token1_(TakeLinear(weights, "token1", hidden, features, true)),
      token2_(TakeLinear(weights, "token2", hidden, hidden, true)),
      chunk_(TakeLinear(weights, "chunk", hidden, 2 * hidden, true)),
      input_(weights("lstm.weight_ih"), weights("lstm.bias_ih"), 4 * hidden, hidden),
      recurrent_(weights("lstm.weight_hh"), weights("lstm.bias_hh"), 4 * hidden, hidden),
      head_(TakeLinear(weights, "head", 1, hidden, true)) {}

float GateForward::Step(const float* features, int tokens, State* state) {
  const Kernels& kernels = CpuKernels();
  normed_.resize(static_cast<size_t>(tokens) * features_);
  kernels.layer_norm({.x = features,
                      .rows = tokens,
                      .width = features_,
                      .weight = norm_weight_.data(),
                      .bias = norm_bias_.data(),
                      .epsilon = 1e-5F,
                      .out = normed_.data()});
  Linear(token1_, normed_, tokens, false, &inner_);
  kernels.gelu(inner_.data(), static_cast<int64_t>(inner_.size()));
  Linear(token2_, inner_, tokens, false, &tokens_);
  // Mean and maximum over the chunk's tokens.
  pooled_.assign(static_cast<size_t>(2) * hidden_, 0);
  for (int i = 0; i < hidden_; ++i) {
    float sum = 0, most = tokens_[i];
    for (int t = 0; t < tokens; ++t) {
      const float x = tokens_[static_cast<size_t>(t) * hidden_ + i];
      sum += x;
      most = std::max(most, x);
    }
    pooled_[i] = sum / static_cast<float>(tokens);
    pooled_[hidden_ + i] = most;
  }
  Linear(chunk_, pooled_, 1, false, &aggregate_);
  kernels.gelu(aggregate_.data(), hidden_);
  Linear(input_, aggregate_, 1, false, &gates_);
  if (state->h.empty()) {
    state->h.assign(hidden_, 0);
    state->c.assign(hidden_, 0);
  }
  Linear(recurrent_, state->h, 1, true, &gates_);
  for (int i = 0; i < hidden_; ++i) {  // input, forget, cell, output
    const float in = Sigmoid(gates_[i]), forget = Sigmoid(gates_[hidden_ + i]);
    const float cell = Tanh(gates_[2 * hidden_ + i]), out = Sigmoid(gates_[3 * hidden_ + i]);
    state->c[i] = forget * state->c[i] + in * cell;
    state->h[i] = out * Tanh(state->c[i]);
  }
  std::vector<float> logit;
  Linear(head_, state->h, 1, false, &logit);
  return logit[0];
}

}  // namespace kvla
