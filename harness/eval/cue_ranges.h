// SPDX-License-Identifier: Apache-2.0
// When cues may be shown in a run, and how long they may have to be remembered: kept with it, so
// that reports part both alike whatever the run's seeds (results/report/cue_report.h).
#ifndef KVLA_HARNESS_EVAL_CUE_RANGES_H_
#define KVLA_HARNESS_EVAL_CUE_RANGES_H_

#include <nlohmann/json.hpp>

#include "harness/eval/run_config.h"

namespace kvla {

// {task: {delay: {"onset": [low, high], "wait": [low, high]}}}, seconds, over many schedules of the
// validation split. A task without a cue has no entry, one without a decision no "wait".
nlohmann::json CueRanges(const RunPlan& plan);

}  // namespace kvla

#endif  // KVLA_HARNESS_EVAL_CUE_RANGES_H_
