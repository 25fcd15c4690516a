// SPDX-License-Identifier: Apache-2.0
#ifndef KVLA_TENSORS_TORCH_VERSION_H_
#define KVLA_TENSORS_TORCH_VERSION_H_

#include <string>

namespace kvla {

// LibTorch's version and the CPU instruction set its kernels chose, such as "2.11.0 (AVX512)".
std::string TorchVersion();

// That instruction set alone, such as "AVX512": two of them may round otherwise, so that a policy
// that guesses guesses otherwise.
std::string TorchCpuKernels();

// Number of CUDA devices that LibTorch can use; 0 in a CPU build.
int TorchCudaDevices();

}  // namespace kvla

#endif  // KVLA_TENSORS_TORCH_VERSION_H_
