// SPDX-License-Identifier: Apache-2.0
// The CUDA device: what it is, memory on it, time on it. No CUDA types, so that what uses it is
// compiled by any compiler.
#ifndef KVLA_KV_EFFICIENT_CUDA_CUDA_MEMORY_H_
#define KVLA_KV_EFFICIENT_CUDA_CUDA_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "base/status.h"

namespace kvla {

struct CudaDevice {
  std::string name;
  int multiprocessors = 0;
  int64_t free_bytes = 0;
};

// The current device; kIo, with CUDA's reason, where there is none that can be used.
Result<CudaDevice> FindCudaDevice();

// Memory on the device, given back with the object. All copies wait for the device.
class CudaBuffer {
 public:
  CudaBuffer() = default;
  ~CudaBuffer();
  CudaBuffer(CudaBuffer&& other) noexcept { *this = std::move(other); }
  CudaBuffer& operator=(CudaBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  static Result<CudaBuffer> Make(int64_t bytes);

  std::byte* data() const { return data_; }  // at 256 bytes
  int64_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
};

Status CopyToDevice(std::byte* to, std::span<const std::byte> from);
Status CopyFromDevice(std::span<std::byte> to, const std::byte* from);
Status CopyOnDevice(std::byte* to, const std::byte* from, int64_t bytes);  // does not wait

// Time between two moments of the device's default stream.
class CudaStopwatch {
 public:
  CudaStopwatch();
  ~CudaStopwatch();
  CudaStopwatch(const CudaStopwatch&) = delete;
  CudaStopwatch& operator=(const CudaStopwatch&) = delete;
  void Start();
  Result<double> Milliseconds();  // since Start; waits for the device

 private:
  void* start_ = nullptr;
  void* end_ = nullptr;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_CUDA_CUDA_MEMORY_H_
