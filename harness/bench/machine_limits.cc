// SPDX-License-Identifier: Apache-2.0
#include "harness/bench/machine_limits.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/machine.h"
#include "kernels/kernels.h"

namespace kvla {
namespace {

constexpr int64_t kSide = 512;  // of the product's matrices
constexpr double kFlops = 2.0 * kSide * kSide * kSide;
constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kPiece = 8 * kMiB;  // copied in one go

int64_t CacheBytes(int name, int64_t least, int64_t most) {
  return std::clamp<int64_t>(sysconf(name), least, most);
}

}  // namespace

void UseOneCore() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  sched_setaffinity(0, sizeof(one), &one);
  at::set_num_threads(1);
}

struct MachineLimits::Buffers {
  // A copy of what the last-level cache holds touches twice that; one of a quarter of L2, half.
  int64_t far_bytes = CacheBytes(_SC_LEVEL3_CACHE_SIZE, 64 * kMiB, 512 * kMiB) / kPiece * kPiece;
  int64_t near_bytes = CacheBytes(_SC_LEVEL2_CACHE_SIZE, kMiB / 4, 8 * kMiB) / 4;
  std::vector<char> far_from = std::vector<char>(far_bytes, 1);
  std::vector<char> far_to = std::vector<char>(far_bytes);
  std::vector<char> near_from = std::vector<char>(near_bytes, 1);
  std::vector<char> near_to = std::vector<char>(near_bytes);
  int64_t at = 0;  // of the next piece
  at::Tensor a = at::ones({kSide, kSide}), b = at::ones({kSide, kSide});
  at::Tensor product = at::empty({kSide, kSide});

  void Multiply() {
    const c10::InferenceMode inference;
    at::mm_out(product, a, b);
  }
  void CopyPiece() {
    std::memcpy(far_to.data() + at, far_from.data() + at, kPiece);
    at = (at + kPiece) % far_bytes;
  }
  void CopyNear() { std::memcpy(near_to.data(), near_from.data(), near_bytes); }
};

MachineLimits::MachineLimits() : buffers_(std::make_unique<Buffers>()) {}
MachineLimits::~MachineLimits() = default;

std::vector<Turn> MachineLimits::turns() {
  Buffers* buffers = buffers_.get();
  return {Repeat([buffers] { buffers->Multiply(); }, &gemm_),
          Repeat([buffers] { buffers->CopyPiece(); }, &copy_),
          Repeat([buffers] { buffers->CopyNear(); }, &l2_copy_)};
}

double MachineLimits::flops_per_s() const { return kFlops / gemm_.median() * 1e3; }
double MachineLimits::bytes_per_s() const { return 2.0 * kPiece / copy_.median() * 1e3; }

nlohmann::json MachineLimits::Json() const {
  constexpr double kPerMs = 1e6;  // units a millisecond of 1e9 a second
  const double near_bytes = 2.0 * static_cast<double>(buffers_->near_bytes);
  return {{"cpu", ReadMachineFacts().cpu_model},
          {"vectors", CpuKernels().name},
          {"libtorch_vectors", at::get_cpu_capability()},
          {"gemm", fmt::format("at::mm, f32, {0}x{0}x{0}", kSide)},
          {"gemm_gflop_per_s_median", kFlops / kPerMs / gemm_.median()},
          {"gemm_gflop_per_s_mean", kFlops / kPerMs / gemm_.mean()},
          {"copy_touched_mib", 2 * buffers_->far_bytes / kMiB},
          {"copy_gbyte_per_s_median", 2.0 * kPiece / kPerMs / copy_.median()},
          {"copy_gbyte_per_s_mean", 2.0 * kPiece / kPerMs / copy_.mean()},
          {"l2_copy_touched_kib", 2 * buffers_->near_bytes / 1024},
          {"l2_copy_gbyte_per_s_median", near_bytes / kPerMs / l2_copy_.median()},
          {"l2_copy_gbyte_per_s_mean", near_bytes / kPerMs / l2_copy_.mean()}};
}

}  // namespace kvla
