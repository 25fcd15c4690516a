// `kvla eval`: the episodes of a run over worker processes, into one SQLite file.
#ifndef KVLA_HARNESS_BATCH_H_
#define KVLA_HARNESS_BATCH_H_

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"
#include "harness/progress.h"
#include "harness/run_config.h"
#include "harness/worker.h"
#include "harness/worker_pool.h"
#include "results/run_store.h"
#include "results/trace.h"

namespace kvla {

struct BatchOptions {
  std::filesystem::path out;
  int workers = 1;
  WorkerCommand command;
  std::string checkpoint_hash;   // of CheckPolicies()
  std::filesystem::path ledger;  // that a run on the evaluation split appends to; empty: none
  const std::atomic<bool>* cancel = nullptr;
  ProgressStyle progress = ProgressStyle::kLines;
  std::string core_group = "kvla";  // see CoreLock::Take()
  bool redo_errors = false;         // episodes that ended in an error are taken out and run again
};

struct BatchSummary {
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
Result<BatchSummary> RunBatch(const RunPlan& plan, const BatchOptions& options);

// The same checks without running; how many episodes are there already.
Result<int> CheckBatch(const RunPlan& plan, const BatchOptions& options);

// The worker's side.
Message EvalSetup(const RunPlan& plan);
Message EvalJobMessage(const EpisodeJob& job);
EpisodeJob EvalJobFrom(const Message& message);
// The parent's PlanRun() checked everything; the worker trusts it and loads the policies.
Result<DoJob> PrepareEvalWorker(const Message& setup);
// An answer to a job: the record, what draws, and the worker's memory.
Message EvalAnswer(const EpisodeRecord& record, const std::string& gl_renderer);

}  // namespace kvla

#endif  // KVLA_HARNESS_BATCH_H_
