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

GateForward::GateForward(const WeightSource& weights, const GateShape& shape)
    : shape_(shape),
      norm_weight_(weights("norm.weight")),
      norm_bias_(weights("norm.bias")),
      chunk_(TakeLinear(weights, "chunk", shape.hidden, shape.pooled(), true)),
      head_(TakeLinear(weights, "head", 1, shape.hidden, true)) {
  const int hidden = shape.hidden;
  if (shape.mlp) {
    token1_ = TakeLinear(weights, "token1", hidden, shape.features, true);
    token2_ = TakeLinear(weights, "token2", hidden, hidden, true);
  }
  if (!shape.lstm) return;
  input_ = PackedMatrix(weights("lstm.weight_ih"), weights("lstm.bias_ih"), 4 * hidden, hidden);
  recurrent_ = PackedMatrix(weights("lstm.weight_hh"), weights("lstm.bias_hh"), 4 * hidden, hidden);
}

// Mean and maximum over the chunk's tokens.
void GateForward::PoolMlp(int tokens) {
  const int hidden = shape_.hidden;
  Linear(token1_, normed_, tokens, false, &inner_);
  CpuKernels().gelu(inner_.data(), static_cast<int64_t>(inner_.size()));
  Linear(token2_, inner_, tokens, false, &tokens_);
  for (int i = 0; i < hidden; ++i) {
    float sum = 0, most = tokens_[i];
    for (int t = 0; t < tokens; ++t) {
      const float x = tokens_[static_cast<size_t>(t) * hidden + i];
      sum += x;
      most = std::max(most, x);
    }
    pooled_[i] = sum / static_cast<float>(tokens);
    pooled_[hidden + i] = most;
  }
}

void GateForward::PoolMean(int tokens) {
  for (int i = 0; i < shape_.features; ++i) {
    float sum = 0;
    for (int t = 0; t < tokens; ++t) sum += normed_[static_cast<size_t>(t) * shape_.features + i];
    pooled_[i] = sum / static_cast<float>(tokens);
  }
}

void GateForward::Remember(State* state) {
  const int hidden = shape_.hidden;
  Linear(input_, aggregate_, 1, false, &gates_);
  if (state->h.empty()) {
    state->h.assign(hidden, 0);
    state->c.assign(hidden, 0);
  }
  Linear(recurrent_, state->h, 1, true, &gates_);
  for (int i = 0; i < hidden; ++i) {  // input, forget, cell, output
    const float in = Sigmoid(gates_[i]), forget = Sigmoid(gates_[hidden + i]);
    const float cell = Tanh(gates_[2 * hidden + i]), out = Sigmoid(gates_[3 * hidden + i]);
    state->c[i] = forget * state->c[i] + in * cell;
    state->h[i] = out * Tanh(state->c[i]);
  }
}

float GateForward::Step(const float* features, int tokens, State* state) {
  normed_.resize(static_cast<size_t>(tokens) * shape_.features);
  CpuKernels().layer_norm({.x = features,
                           .rows = tokens,
                           .width = shape_.features,
                           .weight = norm_weight_.data(),
                           .bias = norm_bias_.data(),
                           .epsilon = 1e-5F,
                           .out = normed_.data()});
  pooled_.resize(shape_.pooled());
  if (shape_.mlp) {
    PoolMlp(tokens);
  } else {
    PoolMean(tokens);
  }
  Linear(chunk_, pooled_, 1, false, &aggregate_);
  if (shape_.mlp) CpuKernels().gelu(aggregate_.data(), shape_.hidden);
  if (shape_.lstm) Remember(state);
  std::vector<float> logit;
  Linear(head_, shape_.lstm ? state->h : aggregate_, 1, false, &logit);
  return logit[0];
}

}  // namespace kvla
