// SPDX-License-Identifier: Apache-2.0
// `kvla transplant`: whether what the cache holds of a cue is what decides. In a paused episode the
// chunks that saw the cue are replaced by those of its twin, the same episode with another cue.
#ifndef KVLA_HARNESS_TRANSPLANT_TRANSPLANT_H_
#define KVLA_HARNESS_TRANSPLANT_TRANSPLANT_H_

#include <functional>
#include <vector>

#include "base/status.h"
#include "harness/transplant/transplant_config.h"
#include "harness/transplant/transplant_log.h"

namespace kvla {

// Of the plan's jobs those that the log lacks.
std::vector<EpisodeJob> MissingJobs(const TransplantPlan& plan, const TransplantLog& log);

// Runs these on so many threads, each with a policy of its own. `progress(done, total)` is called
// by one thread at a time, and returns false to cancel.
Status RunTransplant(const TransplantPlan& plan, const std::vector<EpisodeJob>& jobs, int threads,
                     const std::function<bool(int, int)>& progress, TransplantLog* log);

}  // namespace kvla

#endif  // KVLA_HARNESS_TRANSPLANT_TRANSPLANT_H_
