// SPDX-License-Identifier: Apache-2.0
// What it costs the cache when a chunk leaves the window. No torch in here.
#ifndef KVLA_HARNESS_BENCH_COMPACT_BENCH_H_
#define KVLA_HARNESS_BENCH_COMPACT_BENCH_H_

#include <filesystem>
#include <vector>

#include "base/status.h"
#include "harness/bench/machine_limits.h"

namespace kvla {

struct CompactBenchOptions {
  std::filesystem::path checkpoint;  // whose decoder the cache serves
  std::vector<int> history_tokens;   // that the episode has appended
  double seconds = 10;
};

// A row for each length and each thing that may be done with the chunk: kept whole where it is,
// kept whole and moved (an older one was dropped), compressed, dropped; and where none leaves.
// Times are of KvCache::EndBlock(), planning left out: the plan is fixed.
Result<BenchReport> BenchCompact(const CompactBenchOptions& options);

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_COMPACT_BENCH_H_
