// SPDX-License-Identifier: Apache-2.0
// One step of the learned gate: on our kernels, and by LibTorch. No torch in here.
#ifndef KVLA_HARNESS_BENCH_GATE_BENCH_H_
#define KVLA_HARNESS_BENCH_GATE_BENCH_H_

#include <filesystem>

#include "base/status.h"
#include "harness/bench/machine_limits.h"

namespace kvla {

// One row: the gate of that file over random features of a chunk. BadInput where there is no such
// gate.
Result<BenchReport> BenchGate(const std::filesystem::path& gate, double seconds);

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_GATE_BENCH_H_
