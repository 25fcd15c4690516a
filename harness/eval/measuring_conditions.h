// SPDX-License-Identifier: Apache-2.0
// Under which rules a run's numbers were taken: what a table needs beside it to be compared with
// another. Stored with the run when it starts.
#ifndef KVLA_HARNESS_EVAL_MEASURING_CONDITIONS_H_
#define KVLA_HARNESS_EVAL_MEASURING_CONDITIONS_H_

#include <nlohmann/json.hpp>

#include "harness/eval/run_config.h"
#include "results/store/run_store.h"

namespace kvla {

// [{"title": "Tasks", "items": [["what", "value"], ...]}, ...], in the order to be read.
// `facts` holds "workers", "pinned", "cpu" and "cpu_kernels" as the run has them: one that went on
// elsewhere lists several.
nlohmann::json MeasuringConditionsOf(const RunPlan& plan, const RunMeta& facts);

}  // namespace kvla

#endif  // KVLA_HARNESS_EVAL_MEASURING_CONDITIONS_H_
