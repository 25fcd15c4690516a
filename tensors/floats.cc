// SPDX-License-Identifier: Apache-2.0
#include "tensors/floats.h"

#include "tensors/torch.h"

namespace kvla {

std::vector<float> FloatsOf(const at::Tensor& x) {
  const at::Tensor dense = x.to(at::kCPU, at::kFloat).contiguous();
  const float* data = dense.const_data_ptr<float>();
  return {data, data + dense.numel()};
}

}  // namespace kvla
