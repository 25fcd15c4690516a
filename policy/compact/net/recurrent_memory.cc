// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/net/recurrent_memory.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "policy/compact/net/autocast.h"
#include "policy/compact/net/shapes.h"

namespace kvla {
namespace {

// Blocks that the slowest unit keeps what it was told before it has learnt anything.
constexpr double kLongestBlocks = 512;

}  // namespace

RecurrentMemoryImpl::RecurrentMemoryImpl(const PolicyConfig& config)
    : tokens_(config.recurrent_tokens), hidden_size_(config.hidden_size) {
  const int inputs = (config.tokens_per_block() + 1) * hidden_size_, size = config.recurrent_size;
  read_ = register_module("read", torch::nn::Linear(inputs, kMemoryWidth));
  gru_ = register_module(
      "gru", torch::nn::GRU(torch::nn::GRUOptions(kMemoryWidth, size).batch_first(true)));
  say_ = register_module("say", torch::nn::Linear(size, tokens_ * hidden_size_));
  // Biases of the update gate such that units forget over times from one block to the longest,
  // evenly spread over the scales (chrono initialization; Tallec and Ollivier, arXiv 1804.11188).
  const torch::NoGradGuard no_grad;
  torch::OrderedDict<std::string, torch::Tensor> weights = gru_->named_parameters();
  torch::Tensor update = weights["bias_ih_l0"].narrow(0, size, size);  // after the reset gate's
  update.uniform_(0, std::log(kLongestBlocks));
  weights["bias_hh_l0"].narrow(0, size, size).zero_();
}

torch::Tensor RecurrentMemoryImpl::States(const torch::Tensor& blocks,
                                          const torch::Tensor& instruction,
                                          const torch::Tensor& before) {
  const Autocast exact(false);
  const torch::Tensor told =
      instruction.unsqueeze(1).expand({blocks.size(0), blocks.size(1), hidden_size_});
  const torch::Tensor inputs =
      torch::silu(read_(torch::cat({blocks.flatten(-2), told}, -1).to(torch::kFloat32)));
  std::vector<torch::Tensor> states;
  torch::Tensor hidden = before.unsqueeze(0);
  for (int64_t first = 0; first < inputs.size(1); first += kGradientBlocks) {
    const int64_t count = std::min(kGradientBlocks, inputs.size(1) - first);
    const auto [of_blocks, last] = gru_->forward(inputs.narrow(1, first, count), hidden);
    states.push_back(of_blocks);
    hidden = last.detach();
  }
  return torch::cat(states, 1);
}

torch::Tensor RecurrentMemoryImpl::Tokens(const torch::Tensor& states) {
  return say_(states).to(torch::kFloat32).unflatten(-1, {tokens_, hidden_size_});
}

}  // namespace kvla
