// SPDX-License-Identifier: Apache-2.0
// The grid: x goes over lanes and, within a lane, over tiles of rows, so that blocks that read the
// same pages run side by side and find them in the L2 cache; y goes over splits. How long a split
// is says PagesPerSplit: about four times as many blocks as run at once. Shorter lanes have fewer
// splits; their blocks beyond the last end at once. Then a block a row puts the splits together.
#include <algorithm>
#include <string>

#include "kv_efficient/attention/block_attention.h"
#include "kv_efficient/attention/merge_splits.h"
#include "kv_efficient/cuda/cuda_attention.h"
#include "kv_efficient/cuda/cuda_error.cuh"
#include "kv_efficient/cuda/device_team.cuh"

namespace kvla {
namespace {

constexpr int kThreads = 128;
using Team = DeviceTeam<kThreads>;

// As many blocks a multiprocessor as shared memory lets run, where registers suffice for it.
constexpr int BlocksWanted(int rows) { return rows > 8 ? 2 : rows > 4 ? 4 : 5; }

template <int kRows>
__global__ void __launch_bounds__(kThreads, BlocksWanted(kRows))
    AttendKernel(const __grid_constant__ BlockJob job) {
  const int tiles = (job.shape.rows + kRows - 1) / kRows;
  const int lane = static_cast<int>(blockIdx.x) / tiles, split = static_cast<int>(blockIdx.y);
  // The first split also says that a lane is empty.
  if (split > 0 && split >= SplitsOf(job.lanes[lane], job.pages_per_split)) return;
  Team team;
  BlockAttention<Team, kRows>(team, job, lane, static_cast<int>(blockIdx.x) % tiles, split).Run();
}

__global__ void __launch_bounds__(kThreads) MergeKernel(const __grid_constant__ BlockJob job) {
  Team team;
  SplitMerge<Team>(team, job, static_cast<int>(blockIdx.x) / job.shape.rows,
                   static_cast<int>(blockIdx.x) % job.shape.rows)
      .Run();
}

Status CheckShape(const PagedShape& shape) {
  if (shape.head_dim < kBlockDimMultiple || shape.head_dim > kMaxBlockDim ||
      shape.head_dim % kBlockDimMultiple != 0) {
    return BadInput("attention on CUDA takes heads of 32, 64, ... 256 dimensions, not " +
                    std::to_string(shape.head_dim));
  }
  if (shape.rows < 1 || shape.page_tokens < 1) {
    return BadInput("attention on CUDA needs a row and a token a page or more, not " +
                    std::to_string(shape.rows) + " rows and pages of " +
                    std::to_string(shape.page_tokens));
  }
  return {};
}

template <int kRows>
Status Launch(const CudaAttentionCall& call, BlockJob job, CudaBuffer* partials,
              cudaStream_t stream) {
  const auto kernel = AttendKernel<kRows>;
  job.space = BlockSpace(job.shape, kRows, kThreads);
  int device = 0, multiprocessors = 0, resident = 0;
  cudaError_t error =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, job.space.bytes);
  if (error == cudaSuccess) error = cudaGetDevice(&device);
  if (error == cudaSuccess) {
    error = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  }
  if (error == cudaSuccess) {
    error =
        cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, kThreads, job.space.bytes);
  }
  if (error != cudaSuccess) return CudaStatus(error, "how many blocks of attention run at once");
  const int tiles = CeilDiv(job.shape.rows, kRows);
  if (job.pages_per_split == 0) {
    job.pages_per_split =
        PagesPerSplit(call.total_pages, tiles, int64_t{multiprocessors} * std::max(1, resident));
  }
  constexpr int kMostSplits = 65535;  // of a grid's y
  job.pages_per_split = std::max(job.pages_per_split, CeilDiv(call.most_pages, kMostSplits));
  job.splits = std::max(1, CeilDiv(call.most_pages, job.pages_per_split));
  const int64_t rows = job.PartialAt(call.num_lanes, 0, 0);
  if (job.splits > 1) {
    const int64_t bytes = rows * (job.shape.head_dim + 2) * static_cast<int64_t>(sizeof(float));
    if (partials->bytes() < bytes) {
      Result<CudaBuffer> more = CudaBuffer::Make(bytes);
      if (!more.ok()) return more.status().In("partial sums of attention");
      *partials = std::move(more.value());
    }
    job.partial_out = reinterpret_cast<float*>(partials->data());
    job.partial_max = job.partial_out + rows * job.shape.head_dim;
    job.partial_sum = job.partial_max + rows;
  }
  const dim3 grid(static_cast<unsigned>(call.num_lanes) * tiles, job.splits);
  kernel<<<grid, kThreads, job.space.bytes, stream>>>(job);
  if (job.splits > 1) {
    MergeKernel<<<static_cast<unsigned>(call.num_lanes) * job.shape.rows, kThreads,
                  SplitMerge<Team>::kSharedBytes, stream>>>(job);
  }
  return CudaStatus(cudaGetLastError(), "starting attention");
}

}  // namespace

Status CudaAttention::Attend(const CudaAttentionCall& call, void* stream) {
  Status status = CheckShape(call.shape);
  if (!status.ok() || call.num_lanes == 0) return status;
  const BlockJob job{
      .lanes = call.lanes, .shape = call.shape, .pages_per_split = call.pages_per_split};
  const auto on = static_cast<cudaStream_t>(stream);
  if (call.shape.rows == 1) return Launch<1>(call, job, &partials_, on);
  if (call.shape.rows <= 4) return Launch<4>(call, job, &partials_, on);
  if (call.shape.rows <= 8) return Launch<8>(call, job, &partials_, on);
  return Launch<kMaxBlockRows>(call, job, &partials_, on);
}

}  // namespace kvla
