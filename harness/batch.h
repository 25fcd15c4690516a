// `kvla eval`: the episodes of a run over worker processes, into one SQLite file.
#ifndef KVLA_HARNESS_BATCH_H_
#define KVLA_HARNESS_BATCH_H_

#include <atomic>
#include <filesystem>
#include <string>

#include "base/status.h"
#include "harness/run_config.h"
#include "harness/worker.h"
#include "harness/worker_pool.h"
#include "results/trace.h"

namespace kvla {

struct BatchOptions {
  std::filesystem::path out;
  int workers = 1;
  WorkerCommand command;
  std::string checkpoint_hash;  // of CheckPolicies()
  const std::atomic<bool>* cancel = nullptr;
  bool quiet = false;  // no progress bar
};

struct BatchSummary {
  int episodes = 0;  // of the run
  int resumed = 0;   // were there already
  int errors = 0;    // ended in error, of those in the file
  double wall_s = 0;
};

// Runs what is missing; only this process writes the file. BadInput before anything is written when
// the folder cannot be written or holds a run of another config or checkpoint. kCancelled after
// Ctrl-C: what ended is kept. An episode whose worker died or hung twice is an error outcome.
Result<BatchSummary> RunBatch(const RunPlan& plan, const BatchOptions& options);

// The same checks without running; how many episodes are there already.
Result<int> CheckBatch(const RunPlan& plan, const BatchOptions& options);

// The worker's side.
Message EvalSetup(const RunPlan& plan);
Message EvalJobMessage(const EpisodeJob& job);
EpisodeJob EvalJobFrom(const Message& message);
// The parent's PlanRun() checked everything; the worker trusts it and loads the policies.
Result<DoJob> PrepareEvalWorker(const Message& setup);
// An answer to a job: the record, and what draws.
Message EvalAnswer(const EpisodeRecord& record, const std::string& gl_renderer);

}  // namespace kvla

#endif  // KVLA_HARNESS_BATCH_H_
