// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/cuda/cuda_error.cuh"
#include "kv_efficient/cuda/cuda_memory.h"

namespace kvla {

Result<CudaDevice> FindCudaDevice() {
  int count = 0;
  Status status = CudaStatus(cudaGetDeviceCount(&count), "looking for a device and its driver");
  if (!status.ok()) return status;
  if (count == 0) return IoError("CUDA: there is no device");
  int device = 0;
  cudaDeviceProp properties;
  status = CudaStatus(cudaGetDevice(&device), "asking for the device");
  if (status.ok()) {
    status = CudaStatus(cudaGetDeviceProperties(&properties, device), "asking what it can do");
  }
  if (!status.ok()) return status;
  if (properties.major < 8) {
    return IoError("CUDA: " + std::string(properties.name) + " has compute capability " +
                   std::to_string(properties.major) + "." + std::to_string(properties.minor) +
                   "; the kernels need 8.0 or newer");
  }
  size_t free = 0, total = 0;
  status = CudaStatus(cudaMemGetInfo(&free, &total), "asking for its memory");
  if (!status.ok()) return status;
  return CudaDevice{properties.name, properties.multiProcessorCount, static_cast<int64_t>(free)};
}

CudaBuffer::~CudaBuffer() { cudaFree(data_); }

Result<CudaBuffer> CudaBuffer::Make(int64_t bytes) {
  CudaBuffer buffer;
  void* data = nullptr;
  Status status = CudaStatus(cudaMalloc(&data, bytes), std::to_string(bytes) + " bytes of memory");
  if (!status.ok()) return status;
  buffer.data_ = static_cast<std::byte*>(data);
  buffer.bytes_ = bytes;
  return Result<CudaBuffer>(std::move(buffer));
}

Status CopyToDevice(std::byte* to, std::span<const std::byte> from) {
  return CudaStatus(cudaMemcpy(to, from.data(), from.size(), cudaMemcpyHostToDevice),
                    "a copy to the device");
}

Status CopyFromDevice(std::span<std::byte> to, const std::byte* from) {
  return CudaStatus(cudaMemcpy(to.data(), from, to.size(), cudaMemcpyDeviceToHost),
                    "a copy from the device");
}

Status CopyOnDevice(std::byte* to, const std::byte* from, int64_t bytes) {
  return CudaStatus(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice),
                    "a copy on the device");
}

CudaStopwatch::CudaStopwatch() {
  cudaEvent_t start = nullptr, end = nullptr;
  cudaEventCreate(&start);  // one that failed shows in Milliseconds
  cudaEventCreate(&end);
  start_ = start;
  end_ = end;
}

CudaStopwatch::~CudaStopwatch() {
  cudaEventDestroy(static_cast<cudaEvent_t>(start_));
  cudaEventDestroy(static_cast<cudaEvent_t>(end_));
}

void CudaStopwatch::Start() { cudaEventRecord(static_cast<cudaEvent_t>(start_)); }

Result<double> CudaStopwatch::Milliseconds() {
  const auto start = static_cast<cudaEvent_t>(start_), end = static_cast<cudaEvent_t>(end_);
  float ms = 0;
  cudaError_t error = cudaEventRecord(end);
  if (error == cudaSuccess) error = cudaEventSynchronize(end);
  if (error == cudaSuccess) error = cudaEventElapsedTime(&ms, start, end);
  if (error != cudaSuccess) return CudaStatus(error, "what was timed");
  return ms;
}

}  // namespace kvla
