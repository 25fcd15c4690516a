// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/methods/learned/gate_weights.h"

#include <fmt/format.h>

#include "tensors/torch.h"

namespace kvla {

Status FillGate(const TensorFile& file, torch::nn::Module& gate) {
  torch::NoGradGuard no_grad;
  auto parameters = gate.named_parameters();
  for (auto& item : parameters) {
    const auto found = file.tensors.find(item.key());
    if (found == file.tensors.end() || found->second.sizes() != item.value().sizes()) {
      return BadInput(fmt::format("tensor '{}' is missing or of another shape", item.key()));
    }
    item.value().copy_(found->second);
  }
  for (const auto& [name, tensor] : file.tensors) {
    if (!parameters.contains(name)) {
      return BadInput(fmt::format("tensor '{}' is none of this gate's", name));
    }
  }
  gate.eval();
  return {};
}

}  // namespace kvla
