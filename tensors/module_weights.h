// SPDX-License-Identifier: Apache-2.0
// A trained module's parameters, for those that compute it without LibTorch.
#ifndef KVLA_TENSORS_MODULE_WEIGHTS_H_
#define KVLA_TENSORS_MODULE_WEIGHTS_H_

#include <torch/nn/module.h>

#include "kernels/weight_source.h"

namespace kvla {

// Shares the parameters, on whatever device they are; hands out f32.
WeightSource WeightsOf(const torch::nn::Module& module);

}  // namespace kvla

#endif  // KVLA_TENSORS_MODULE_WEIGHTS_H_
