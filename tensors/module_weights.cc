// SPDX-License-Identifier: Apache-2.0
#include "tensors/module_weights.h"

#include "tensors/torch.h"

namespace kvla {

WeightSource WeightsOf(const torch::nn::Module& module) {
  return [parameters = module.named_parameters()](const std::string& name) {
    const at::Tensor values = parameters[name].detach().to(at::kCPU, at::kFloat).contiguous();
    const float* data = values.const_data_ptr<float>();
    return std::vector<float>(data, data + values.numel());
  };
}

}  // namespace kvla
