// SPDX-License-Identifier: Apache-2.0
// A block of threads (kv_efficient/attention/block_team.h) on a CUDA device.
#ifndef KVLA_KV_EFFICIENT_CUDA_DEVICE_TEAM_CUH_
#define KVLA_KV_EFFICIENT_CUDA_DEVICE_TEAM_CUH_

#include <cuda_pipeline.h>

#include "kv_efficient/attention/block_team.h"

namespace kvla {

template <int kThreads>
class DeviceTeam {
 public:
  static constexpr int kSize = kThreads;
  template <class T>
  struct Private {
    T mine;
  };

  __device__ std::byte* shared() const {
    extern __shared__ Quad memory[];
    return reinterpret_cast<std::byte*>(memory);
  }

  template <class F>
  __device__ void ForEach(const F& f) const {
    f(static_cast<int>(threadIdx.x));
    __syncthreads();
  }
  template <class T, class F>
  __device__ void ForEach(Private<T>& own, const F& f) const {
    f(static_cast<int>(threadIdx.x), own.mine);
    __syncthreads();
  }

  template <class T, class F>
  __device__ void WarpMax(Private<T>& own, const F& f) const {
    float& x = f(own.mine);
    KVLA_UNROLL
    for (int distance = kWarpSize / 2; distance > 0; distance /= 2) {
      x = fmaxf(x, __shfl_xor_sync(0xFFFFFFFF, x, distance));
    }
  }
  template <class T, class F>
  __device__ void WarpSum(Private<T>& own, const F& f) const {
    float& x = f(own.mine);
    KVLA_UNROLL
    for (int distance = kWarpSize / 2; distance > 0; distance /= 2) {
      x += __shfl_xor_sync(0xFFFFFFFF, x, distance);
    }
  }

  template <class F>
  __device__ void CopyGroup(const F& f) const {
    f(static_cast<int>(threadIdx.x));
    __pipeline_commit();
  }
  template <int kBytes>
  __device__ void Copy(void* to, const void* from) const {
    __pipeline_memcpy_async(to, from, kBytes);
  }
  template <int kGroups>
  __device__ void WaitAllBut() const {
    __pipeline_wait_prior(kGroups);  // this thread's copies
    __syncthreads();
  }
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_CUDA_DEVICE_TEAM_CUH_
