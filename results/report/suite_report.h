// SPDX-License-Identifier: Apache-2.0
// Success and costs over the cells of a run (tasks at delays): what an arm does as a whole.
#ifndef KVLA_RESULTS_REPORT_SUITE_REPORT_H_
#define KVLA_RESULTS_REPORT_SUITE_REPORT_H_

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "results/statistics/episode_costs.h"
#include "results/statistics/statistics.h"

namespace kvla {

struct ReportRow;

// One arm over the memory cells (their task has a decisive stage that chance passes at times), or
// over the controls, which no cache method can lose. Success is the mean of the cells, costs are
// ratios of sums over them.
struct SuiteRow {
  std::string arm;
  bool memory = false;
  int cells = 0;
  int episodes = 0;            // without error
  Interval success;            // StratifiedRate(); NaN where a cell has no episode
  Interval decisive;           // right, among those that reached the stage; NaN for controls
  double chance = 0;           // of the decisive stage, the mean of the cells
  int cells_above_chance = 0;  // whose interval of `decisive` lies above their chance as a whole
  std::optional<CostRatios> ratios;  // against `full`; none for it, or where a cell lacks it
};

// Memory first, arms in the order of `rows`. None for a kind that is but one cell.
std::vector<SuiteRow> BuildSuiteRows(std::span<const ReportRow> rows);

// Empty without rows; ratios of times that are not `comparable` are marked.
std::string FormatSuiteTable(std::span<const SuiteRow> rows, bool comparable);
nlohmann::json SuiteJson(std::span<const SuiteRow> rows);

}  // namespace kvla

#endif  // KVLA_RESULTS_REPORT_SUITE_REPORT_H_
