// SPDX-License-Identifier: Apache-2.0
#include "policy/backbones/named_weights.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <utility>

#include "base/rng.h"
#include "tensors/safetensors.h"
#include "tensors/torch.h"

namespace kvla {

at::Tensor LinearMap::operator()(const at::Tensor& x) const {
  return bias.defined() ? at::linear(x, weight, bias) : at::linear(x, weight);
}

NamedWeights::NamedWeights(std::map<std::string, at::Tensor> tensors)
    : tensors_(std::move(tensors)) {}

at::Tensor NamedWeights::Drawn(const std::string& name, const std::vector<int64_t>& shape) {
  at::Tensor tensor = torch::empty(shape);
  parameters_ += tensor.numel();
  if (shape.size() == 1) return tensor.fill_(name.ends_with("bias") ? 0 : 1);
  const double inputs = static_cast<double>(tensor.numel()) / static_cast<double>(shape[0]);
  const double bound = std::sqrt(3 / inputs);  // a variance of 1 / inputs
  at::Generator generator = at::detail::createCPUGenerator(StableHash(name, *seed_));
  return tensor.uniform_(-bound, bound, generator);
}

at::Tensor NamedWeights::Checked(const std::string& name, const std::vector<int64_t>& shape) {
  if (!status_.ok()) return {};
  if (seed_) return Drawn(name, shape);
  auto found = tensors_.extract(name);
  if (found.empty()) {
    status_ = BadInput(fmt::format("tensor '{}' is missing", name));
    return {};
  }
  const at::Tensor& tensor = found.mapped();
  if (tensor.sizes() != at::IntArrayRef(shape)) {
    status_ = BadInput(fmt::format("tensor '{}' is [{}], not [{}]", name,
                                   fmt::join(tensor.sizes(), ", "), fmt::join(shape, ", ")));
    return {};
  }
  status_ = CheckWeights(name, tensor);
  if (!status_.ok()) return {};
  parameters_ += tensor.numel();
  return tensor;
}

at::Tensor NamedWeights::Take(const std::string& name, const std::vector<int64_t>& shape) {
  const at::Tensor tensor = Checked(name, shape);
  return tensor.defined() ? tensor.to(at::kFloat) : tensor;
}

LinearMap NamedWeights::TakeLinear(const std::string& name, int64_t outputs, int64_t inputs,
                                   bool bias) {
  LinearMap map;
  map.weight = Take(name + ".weight", {outputs, inputs});
  if (bias) map.bias = Take(name + ".bias", {outputs});
  return map;
}

void NamedWeights::Leave(const std::string& name, const std::vector<int64_t>& shape) {
  if (tensors_.contains(name)) Checked(name, shape);
}

Status NamedWeights::Finish() const {
  if (!status_.ok() || tensors_.empty()) return status_;
  return BadInput(fmt::format(
      "tensor '{}' has no place in a model of these sizes{}", tensors_.begin()->first,
      tensors_.size() == 1 ? "" : fmt::format(", nor have {} others", tensors_.size() - 1)));
}

}  // namespace kvla
