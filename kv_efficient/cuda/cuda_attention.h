// SPDX-License-Identifier: Apache-2.0
// Attention over pages on a CUDA device, of all lanes in one call. Lanes may hold any number of
// pages of any formats; attention/block_job.h says what they are, attention/block_attention.h what
// is computed.
#ifndef KVLA_KV_EFFICIENT_CUDA_CUDA_ATTENTION_H_
#define KVLA_KV_EFFICIENT_CUDA_CUDA_ATTENTION_H_

#include <cstdint>

#include "base/status.h"
#include "kv_efficient/attention/block_job.h"
#include "kv_efficient/cuda/cuda_memory.h"

namespace kvla {

struct CudaAttentionCall {
  PagedShape shape;
  const PagedLane* lanes = nullptr;  // on the device, as are all pointers in them
  int num_lanes = 0;
  int most_pages = 0;       // of a lane
  int64_t total_pages = 0;  // of all
  int pages_per_split = 0;  // 0: so that the device is full
};

// One stream's: calls of one object are not to overlap on the device. Not thread-safe.
class CudaAttention {
 public:
  // Begins it on the stream (a cudaStream_t; null: the default one) and returns. kBadInput for a
  // shape that it does not take. Allocates when a call needs more room for splits than all before.
  Status Attend(const CudaAttentionCall& call, void* stream = nullptr);

 private:
  CudaBuffer partials_;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_CUDA_CUDA_ATTENTION_H_
