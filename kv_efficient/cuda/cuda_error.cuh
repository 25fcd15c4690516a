// SPDX-License-Identifier: Apache-2.0
#ifndef KVLA_KV_EFFICIENT_CUDA_CUDA_ERROR_CUH_
#define KVLA_KV_EFFICIENT_CUDA_CUDA_ERROR_CUH_

#include <cuda_runtime.h>

#include <string>

#include "base/status.h"

namespace kvla {

// `what` was being done.
inline Status CudaStatus(cudaError_t error, const std::string& what) {
  if (error == cudaSuccess) return {};
  return IoError("CUDA: " + what + ": " + cudaGetErrorString(error));
}

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_CUDA_CUDA_ERROR_CUH_
