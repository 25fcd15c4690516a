// SPDX-License-Identifier: Apache-2.0
// `kvla demos`: demonstrations by the scripted experts, in HDF5 shards, by worker processes.
//
//   OUT/<split>/<task>_<delay>_<first episode>.hdf5
//
// A shard is written under another name and renamed when complete, so that a run that was stopped
// goes on with the shards that are missing.
#ifndef KVLA_HARNESS_DEMOS_DEMOS_H_
#define KVLA_HARNESS_DEMOS_DEMOS_H_

#include <atomic>
#include <cstdint>
#include <filesystem>

#include "base/status.h"
#include "harness/demos/demo_config.h"
#include "harness/workers/progress.h"
#include "harness/workers/worker.h"
#include "harness/workers/worker_pool.h"

namespace kvla {

struct DemosOptions {
  std::filesystem::path out;
  std::filesystem::path asset_root;
  int workers = 1;
  ProgressStyle progress = ProgressStyle::kLines;
  bool dry_run = false;  // says what it would do, and how much disk that takes
  WorkerCommand command;
  const std::atomic<bool>* cancel = nullptr;
};

struct DemosSummary {
  int shards = 0, skipped_shards = 0;
  int64_t episodes = 0;              // recorded by this call
  int64_t failed = 0, diverged = 0;  // tried by this call, left out
  int64_t control_steps = 0;
  double bytes_per_episode = 0;  // estimated beforehand
  double wall_s = 0;
};

// Generates what is missing; progress goes to stderr. BadInput before a shard is written when the
// config, the folder or the free space is not good, or another process writes into the folder.
Result<DemosSummary> GenerateDemos(const DemosConfig& config, const DemosOptions& options);

}  // namespace kvla

#endif  // KVLA_HARNESS_DEMOS_DEMOS_H_
