// SPDX-License-Identifier: Apache-2.0
#include "tensors/module_weights.h"

#include "tensors/floats.h"
#include "tensors/torch.h"

namespace kvla {

WeightSource WeightsOf(const torch::nn::Module& module) {
  return [parameters = module.named_parameters()](const std::string& name) {
    return FloatsOf(parameters[name].detach());
  };
}

}  // namespace kvla
