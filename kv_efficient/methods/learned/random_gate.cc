// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/methods/learned/random_gate.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr uint64_t kSeed = 24;

}  // namespace

void FillAtRandom(torch::nn::Module* gate) {
  const torch::NoGradGuard no_grad;
  at::Generator generator = at::detail::createCPUGenerator(kSeed);
  for (at::Tensor& weights : gate->parameters()) {
    const double bound = 1 / std::sqrt(static_cast<double>(weights.size(-1)));
    weights.uniform_(-bound, bound, generator);
  }
  gate->eval();
}

}  // namespace kvla
