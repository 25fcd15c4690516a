// SPDX-License-Identifier: Apache-2.0
// What an inference takes, part by part, at different lengths of the episode before it. No torch.
#ifndef KVLA_HARNESS_BENCH_INFERENCE_BENCH_H_
#define KVLA_HARNESS_BENCH_INFERENCE_BENCH_H_

#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"
#include "harness/bench/machine_limits.h"

namespace kvla {

struct InferenceBenchOptions {
  std::filesystem::path asset_root, checkpoint;
  std::string method = "full";
  std::vector<int> history_tokens;  // that the episode has appended, the instruction's among them
  std::vector<int> batches;         // episodes of one pass
  double seconds = 10;
};

// A row for each length and batch: milliseconds of the thread by part, work by the cost model, and
// the same net by LibTorch over the same cache (whose attention is ours in both). A sample is the
// mean over the inferences of one chunk, so that the one in which a chunk leaves is in each; it is
// of one episode, the pass shared out evenly. The frames are the expert's.
Result<BenchReport> BenchInference(const InferenceBenchOptions& options);

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_INFERENCE_BENCH_H_
