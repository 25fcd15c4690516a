// SPDX-License-Identifier: Apache-2.0
// `kvla eval`: the episodes of a run over worker processes, into one SQLite file.
#ifndef KVLA_HARNESS_EVAL_EVAL_RUN_H_
#define KVLA_HARNESS_EVAL_EVAL_RUN_H_

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"
#include "harness/eval/run_config.h"
#include "harness/workers/progress.h"
#include "harness/workers/worker.h"
#include "harness/workers/worker_pool.h"
#include "results/store/run_store.h"
#include "results/trace/trace.h"

namespace kvla {

struct EvaluationOptions {
  std::filesystem::path out;
  int workers = 1;
  int batch = 1;  // episodes that a worker steps at a time; no outcome depends on it
  WorkerCommand command;
  std::string checkpoint_hash;   // of CheckPolicies()
  std::filesystem::path ledger;  // that a run on the evaluation split appends to; empty: none
  const std::atomic<bool>* cancel = nullptr;
  ProgressStyle progress = ProgressStyle::kLines;
  std::string core_group = "kvla";  // see CoreLock::Take()
  bool redo_errors = false;         // episodes that ended in an error are taken out and run again
};

struct EvaluationSummary {
  int episodes = 0;                  // of the run, or of its shard
  int resumed = 0;                   // were there already
  int errors = 0;                    // ended in error, of those in the file
  std::vector<std::string> stopped;  // what 'stop_when' stopped the run on; empty: it did not
  double wall_s = 0;
  int64_t control_steps = 0;  // of this call
  // The largest growth of a worker's resident set from its 100th episode to its last, as a share;
  // below 0 when no worker did more than 100.
  double memory_growth = -1;
  int64_t peak_bytes = 0;  // of the largest worker
};

// What the run in a folder must have in common with this one to be gone on with: "config",
// "config_hash", "checkpoint_hash", "version", "commit", "assets_hash", "recorded_hash", "shard".
RunMeta RunIdentity(const RunPlan& plan, const std::string& checkpoint_hash);

// Runs what is missing; only this process writes the file. BadInput before anything is written when
// the folder cannot be written or holds another run (RunIdentity()). A single worker
// is tied to a core that no other run's is tied to; where there is none it is not, and the run's
// "pinned" says so. kCancelled after Ctrl-C: what ended is kept. An episode whose worker died or
// hung twice is an error outcome.
Result<EvaluationSummary> RunEvaluation(const RunPlan& plan, const EvaluationOptions& options);

// The same checks without running; how many episodes are there already.
Result<int> CheckEvaluation(const RunPlan& plan, const EvaluationOptions& options);

}  // namespace kvla

#endif  // KVLA_HARNESS_EVAL_EVAL_RUN_H_
