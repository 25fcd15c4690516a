// SPDX-License-Identifier: Apache-2.0
// `kvla certify-budget`: the budgets of a run beside the full cache, and what may be said of each.
#ifndef KVLA_RESULTS_REPORT_BUDGET_REPORT_H_
#define KVLA_RESULTS_REPORT_BUDGET_REPORT_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/status.h"
#include "results/statistics/budget_certificate.h"
#include "results/statistics/statistics.h"
#include "results/store/run_store.h"

namespace kvla {

inline constexpr int64_t kNoBudgetLimit = INT64_MAX;

struct BudgetArm {
  std::string name;
  int64_t budget = 0;  // kNoBudgetLimit: none
};

// The arms of a run that differ in their budget alone, and the arm that has the whole history.
struct BudgetGrid {
  std::string setting;          // of the cache: "budget_tokens"
  std::string reference;        // an arm
  std::vector<BudgetArm> arms;  // from the largest budget to the smallest
  int64_t episodes = 0;         // planned, of each arm
};

struct BudgetRow {
  BudgetArm arm;
  PairCounts pairs;     // a: the arm, b: the reference
  int left_out = 0;     // pairs in which either ended in error, or was touched by a person
  double kv_bytes = 0;  // live, mean of the cells
  Interval kv_ratio;    // to the reference's, of sums over the cells
  BudgetTest test;
};

struct BudgetReport {
  std::string setting, reference;
  double loss_points = 0, alpha = 0;
  bool memory = false;  // over the cells that need memory alone; else there is none, and over all
  int cells = 0;
  std::vector<BudgetRow> rows;  // from the largest budget to the smallest
  int smallest = -1;            // row of the smallest certified budget; -1: none
  std::vector<std::string> notes;
};

// Pairs are pooled over the cells. BadInput: an arm has no episode in common with the reference.
Result<BudgetReport> BuildBudgetReport(const RunStore& store, const BudgetGrid& grid,
                                       double loss_points, double alpha);

std::string FormatBudgetReport(const BudgetReport& report);
nlohmann::json BudgetReportJson(const BudgetReport& report);

}  // namespace kvla

#endif  // KVLA_RESULTS_REPORT_BUDGET_REPORT_H_
