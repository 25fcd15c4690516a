// SPDX-License-Identifier: Apache-2.0
// Whole episodes, as a worker of an evaluation runs them. No torch.
#ifndef KVLA_HARNESS_BENCH_EPISODE_BENCH_H_
#define KVLA_HARNESS_BENCH_EPISODE_BENCH_H_

#include <filesystem>
#include <string>

#include "base/status.h"
#include "harness/bench/machine_limits.h"
#include "tasks/task_options.h"

namespace kvla {

struct EpisodeBenchOptions {
  std::filesystem::path asset_root, checkpoint;
  std::string method = "full";
  std::string task = "recall_color";
  std::string delay;  // empty: the task's first
  TaskOptions suite;
  int batch = 1;  // episodes that are stepped together; a turn takes all of them to their ends
  double seconds = 30;
};

// One row: episodes and control steps a second of one worker, and how its time is parted. Episodes
// of the validation split, the policy acts; at least one whole one. BadInput: see PlanRun().
Result<BenchReport> BenchEpisodes(const EpisodeBenchOptions& options);

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_EPISODE_BENCH_H_
