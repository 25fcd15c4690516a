#include "results/suite_report.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "base/text.h"
#include "results/json_values.h"
#include "results/report.h"
#include "results/text_table.h"

namespace kvla {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Stratum StratumOf(const Interval& rate, int n, double weight) {
  // A rate without data is NaN, and its count none.
  const double successes = n > 0 ? rate.value * n : 0.0;
  return {std::llround(successes), n, weight};
}

SuiteRow RowOf(const std::string& arm, const std::vector<const ReportRow*>& cells) {
  SuiteRow out;
  out.arm = arm;
  out.memory = cells.front()->chance > 0;
  std::map<std::string, int> delays;  // by task
  for (const ReportRow* cell : cells) ++delays[cell->task];
  out.tasks = static_cast<int>(delays.size());
  std::vector<Stratum> success, decisive;
  for (const ReportRow* cell : cells) {
    const double weight = 1.0 / delays[cell->task];
    const int ended = cell->episodes - cell->errors;
    out.episodes += ended;
    success.push_back(StratumOf(cell->success, ended, weight));
    decisive.push_back(StratumOf(cell->decisive, cell->decisive_reached, weight));
    out.chance += cell->chance * weight / out.tasks;
  }
  out.success = StratifiedRate(success);
  out.decisive = out.memory ? StratifiedRate(decisive) : Interval{kNan, kNan, kNan};
  return out;
}

}  // namespace

std::vector<SuiteRow> BuildSuiteRows(std::span<const ReportRow> rows) {
  std::vector<SuiteRow> out;
  for (const bool memory : {true, false}) {
    std::vector<std::string> arms;
    std::map<std::string, std::vector<const ReportRow*>> cells;
    for (const ReportRow& row : rows) {
      if ((row.chance > 0) != memory) continue;
      if (!cells.contains(row.arm)) arms.push_back(row.arm);
      cells[row.arm].push_back(&row);
    }
    for (const std::string& arm : arms) {
      if (cells[arm].size() > 1) out.push_back(RowOf(arm, cells[arm]));
    }
  }
  return out;
}

std::string FormatSuiteTable(std::span<const SuiteRow> rows) {
  TextTable table("Over tasks (mean of the tasks' rates, %; 95% intervals)",
                  {"arm", "tasks", "n", "success", "decisive right", "by chance"});
  for (const SuiteRow& row : rows) {
    table.Add(row.memory ? "memory" : "controls",
              {Shorten(row.arm, kMaxName), std::to_string(row.tasks), std::to_string(row.episodes),
               Percent(row.success), Percent(row.decisive),
               row.memory ? Fixed(100 * row.chance, 1) : "-"});
  }
  return table.empty() ? "" : table.Format();
}

nlohmann::json SuiteJson(std::span<const SuiteRow> rows) {
  nlohmann::json out = nlohmann::json::array();
  for (const SuiteRow& row : rows) {
    out.push_back({{"arm", row.arm},
                   {"kind", row.memory ? "memory" : "control"},
                   {"tasks", row.tasks},
                   {"episodes", row.episodes},
                   {"success", JsonRate(row.success)},
                   {"decisive", JsonRate(row.decisive)},
                   {"chance", JsonNumber(row.memory ? row.chance : kNan)}});
  }
  return out;
}

}  // namespace kvla
