// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/cpu/cpu_recurrent_memory.h"

#include <algorithm>
#include <cmath>

#include "policy/compact/net/shapes.h"

namespace kvla {
namespace {

constexpr int kGates = 3;  // reset, update, new, in LibTorch's order

float Sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

PackedMatrix GruWeights(const WeightSource& weights, const std::string& side, int outputs,
                        int inputs) {
  return {weights("memory.gru.weight_" + side + "_l0"), weights("memory.gru.bias_" + side + "_l0"),
          outputs, inputs};
}

}  // namespace

CpuRecurrentMemory::CpuRecurrentMemory(const WeightSource& weights, const PolicyConfig& config)
    : size_(config.recurrent_size),
      width_(config.hidden_size),
      encoded_(width_ * config.tokens_per_block()),
      block_(width_ * config.decoder_tokens()),
      read_(TakeLinear(weights, "memory.read", kMemoryWidth, static_cast<int>(encoded_ + width_),
                       true)),
      from_input_(GruWeights(weights, "ih", kGates * size_, kMemoryWidth)),
      from_state_(GruWeights(weights, "hh", kGates * size_, size_)),
      say_(TakeLinear(weights, "memory.say", static_cast<int>(block_ - encoded_), size_, true)) {}

RecurrentState CpuRecurrentMemory::Begin(std::span<const float> tokens) const {
  RecurrentState state{std::vector<float>(static_cast<size_t>(size_)),
                       std::vector<float>(static_cast<size_t>(width_))};
  const int64_t count = std::ssize(tokens) / width_;
  for (int64_t i = 0; i < std::ssize(tokens); ++i) state.instruction[i % width_] += tokens[i];
  for (float& x : state.instruction) x /= static_cast<float>(count);
  return state;
}

void CpuRecurrentMemory::Remember(std::span<RecurrentState* const> states, const float* encoded,
                                  float* blocks) {
  const Kernels& kernels = CpuKernels();
  const auto count = static_cast<int>(states.size());
  rows_.clear();
  hidden_.clear();
  for (int i = 0; i < count; ++i) {
    const float* block = encoded + i * encoded_;
    rows_.insert(rows_.end(), block, block + encoded_);
    rows_.insert(rows_.end(), states[i]->instruction.begin(), states[i]->instruction.end());
    hidden_.insert(hidden_.end(), states[i]->hidden.begin(), states[i]->hidden.end());
  }
  inputs_.resize(static_cast<size_t>(count) * kMemoryWidth);
  by_input_.resize(static_cast<size_t>(count) * kGates * size_);
  by_state_.resize(by_input_.size());
  kernels.linear(DenseRows(read_, rows_.data(), count, inputs_.data()));
  kernels.silu(inputs_.data(), std::ssize(inputs_));
  kernels.linear(DenseRows(from_input_, inputs_.data(), count, by_input_.data()));
  kernels.linear(DenseRows(from_state_, hidden_.data(), count, by_state_.data()));
  for (int i = 0; i < count; ++i) {
    const float* x = by_input_.data() + int64_t{i} * kGates * size_;
    const float* h = by_state_.data() + int64_t{i} * kGates * size_;
    std::vector<float>& hidden = states[i]->hidden;
    for (int u = 0; u < size_; ++u) {
      const float reset = Sigmoid(x[u] + h[u]);
      const float update = Sigmoid(x[size_ + u] + h[size_ + u]);
      const float fresh = std::tanh(x[2 * size_ + u] + reset * h[2 * size_ + u]);
      hidden[u] = (hidden[u] - fresh) * update + fresh;
    }
    std::copy(hidden.begin(), hidden.end(), hidden_.begin() + int64_t{i} * size_);
    std::copy_n(encoded + i * encoded_, encoded_, blocks + i * block_);
  }
  LinearJob say = DenseRows(say_, hidden_.data(), count, blocks + encoded_);
  say.out_stride = block_;
  kernels.linear(say);
}

}  // namespace kvla
