// SPDX-License-Identifier: Apache-2.0
// What this machine's core can do, by plain means and in the same rounds as what is measured
// against it. No torch in here.
#ifndef KVLA_HARNESS_BENCH_MACHINE_LIMITS_H_
#define KVLA_HARNESS_BENCH_MACHINE_LIMITS_H_

#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "harness/bench/rounds.h"

namespace kvla {

// What a bench found. Flat objects whose keys name the units.
struct BenchReport {
  nlohmann::json machine;
  nlohmann::json rows = nlohmann::json::array();
};

// Pins this process to the core that it runs on now, and LibTorch to one thread.
void UseOneCore();

class MachineLimits {
 public:
  // Takes memory for two copies of what the last-level cache holds.
  MachineLimits();
  ~MachineLimits();

  // A plain product of matrices (LibTorch, f32) and two plain copies: through more memory than the
  // last-level cache holds, and within the L2 cache. The object must outlive them.
  std::vector<Turn> turns();

  // By the medians; bytes of a copy are those read and those written. REQUIRES: a round was taken.
  double flops_per_s() const;
  double bytes_per_s() const;
  // These three, the CPU's name, and the kernels' vector width here and in LibTorch.
  nlohmann::json Json() const;

 private:
  struct Buffers;
  std::unique_ptr<Buffers> buffers_;
  Samples gemm_, copy_, l2_copy_;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_MACHINE_LIMITS_H_
