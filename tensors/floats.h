// SPDX-License-Identifier: Apache-2.0
// A tensor's values for those who do without LibTorch. torch.
#ifndef KVLA_TENSORS_FLOATS_H_
#define KVLA_TENSORS_FLOATS_H_

#include <ATen/core/Tensor.h>

#include <vector>

namespace kvla {

// As f32, in the order of its indices, wherever it lies.
std::vector<float> FloatsOf(const at::Tensor& x);

}  // namespace kvla

#endif  // KVLA_TENSORS_FLOATS_H_
