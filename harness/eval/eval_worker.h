// SPDX-License-Identifier: Apache-2.0
// The worker's side of `kvla eval`.
#ifndef KVLA_HARNESS_EVAL_EVAL_WORKER_H_
#define KVLA_HARNESS_EVAL_EVAL_WORKER_H_

#include <string>

#include "base/status.h"
#include "harness/eval/run_config.h"
#include "harness/workers/worker.h"
#include "results/trace/trace.h"

namespace kvla {

Message EvalSetup(const RunPlan& plan);
Message EvalJobMessage(const EpisodeJob& job);
EpisodeJob EvalJobFrom(const Message& message);
// The parent's PlanRun() checked everything; the worker trusts it and loads the policies.
Result<WorkerTask> PrepareEvalWorker(const Message& setup);
// An answer to a job: the record, what draws, and the worker's memory.
Message EvalAnswer(const EpisodeRecord& record, const std::string& gl_renderer);

}  // namespace kvla

#endif  // KVLA_HARNESS_EVAL_EVAL_WORKER_H_
