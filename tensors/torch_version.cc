// SPDX-License-Identifier: Apache-2.0
#include "tensors/torch_version.h"

#include <torch/version.h>

#include "tensors/torch.h"

namespace kvla {

std::string TorchVersion() { return std::string(TORCH_VERSION) + " (" + TorchCpuKernels() + ")"; }

std::string TorchCpuKernels() { return at::get_cpu_capability(); }

int TorchCudaDevices() {
  return torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
}

}  // namespace kvla
