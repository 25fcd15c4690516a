// SPDX-License-Identifier: Apache-2.0
// What a run will take, measured on a few inferences of each task.
#ifndef KVLA_HARNESS_EVAL_ESTIMATE_H_
#define KVLA_HARNESS_EVAL_ESTIMATE_H_

#include <cstdint>

#include "base/status.h"
#include "harness/eval/eval_run.h"

namespace kvla {

// Upper bounds: an episode that succeeds ends before its horizon.
struct RunEstimate {
  int episodes = 0;  // left to do
  int64_t control_steps = 0;
  double seconds = 0;  // with the workers of the options
  double bytes = 0;    // of the run's file
};

// Runs the first inferences of one episode of each task under the run's first arm (the longest
// delay), writing nothing. What is in the run's folder already is left out.
Result<RunEstimate> EstimateRun(const RunPlan& plan, const EvaluationOptions& options);

}  // namespace kvla

#endif  // KVLA_HARNESS_EVAL_ESTIMATE_H_
