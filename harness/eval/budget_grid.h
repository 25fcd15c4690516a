// SPDX-License-Identifier: Apache-2.0
// The arms of a run that differ in their cache's budget alone.
#ifndef KVLA_HARNESS_EVAL_BUDGET_GRID_H_
#define KVLA_HARNESS_EVAL_BUDGET_GRID_H_

#include <string>
#include <vector>

#include "base/status.h"
#include "harness/eval/run_config.h"
#include "results/report/budget_report.h"

namespace kvla {

// `arms`: only these; empty: every one whose method has a budget. BadInput: there is no arm 'full'
// that keeps everything, there are no such arms, they differ in more than a budget (from each
// other) or in their clock (from 'full'), or the run may stop early.
Result<BudgetGrid> BudgetGridOf(const RunConfig& config, const std::vector<std::string>& arms = {});

}  // namespace kvla

#endif  // KVLA_HARNESS_EVAL_BUDGET_GRID_H_
