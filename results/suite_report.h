// Rates over all tasks of a run: what an arm does as a whole.
#ifndef KVLA_RESULTS_SUITE_REPORT_H_
#define KVLA_RESULTS_SUITE_REPORT_H_

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "results/statistics.h"

namespace kvla {

struct ReportRow;

// One arm over the tasks that need memory, or over the controls. Means of the tasks' rates, of
// which each is the mean of its delays, so that no task counts for more because more of it was run.
struct SuiteRow {
  std::string arm;
  bool memory = false;  // tasks with a decisive stage
  int tasks = 0;
  int episodes = 0;   // without error
  Interval success;   // StratifiedRate(); NaN where a task at a delay has no episode
  Interval decisive;  // right, among those that reached the stage; NaN for controls
  double chance = 0;  // of the decisive stage, the mean of the tasks
};

// Memory first, arms in the order of `rows`. None for tasks of a kind that are but one cell.
std::vector<SuiteRow> BuildSuiteRows(std::span<const ReportRow> rows);

std::string FormatSuiteTable(std::span<const SuiteRow> rows);  // empty without rows
nlohmann::json SuiteJson(std::span<const SuiteRow> rows);

}  // namespace kvla

#endif  // KVLA_RESULTS_SUITE_REPORT_H_
