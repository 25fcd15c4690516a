// SPDX-License-Identifier: Apache-2.0
#include "results/report/suite_report.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "results/report/comparable.h"
#include "results/report/json_values.h"
#include "results/report/report.h"
#include "results/report/text_table.h"

namespace kvla {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Stratum StratumOf(const Interval& rate, int n) {
  // A rate without data is NaN, and its count none.
  const double successes = n > 0 ? rate.value * n : 0.0;
  return {std::llround(successes), n, 1};
}

SuiteRow RowOf(const std::string& arm, const std::vector<const ReportRow*>& cells) {
  SuiteRow out;
  out.arm = arm;
  out.memory = cells.front()->chance > 0;
  out.cells = static_cast<int>(cells.size());
  std::vector<Stratum> success, decisive;
  std::vector<CostPairs> costs;
  for (const ReportRow* cell : cells) {
    const int ended = cell->episodes - cell->errors;
    out.episodes += ended;
    success.push_back(StratumOf(cell->success, ended));
    decisive.push_back(StratumOf(cell->decisive, cell->decisive_reached));
    out.chance += cell->chance / out.cells;
    out.cells_above_chance += out.memory && cell->decisive.low > cell->chance ? 1 : 0;
    if (cell->against_full) costs.push_back(cell->against_full->costs);
  }
  out.success = StratifiedRate(success);
  out.decisive = out.memory ? StratifiedRate(decisive) : Interval{kNan, kNan, kNan};
  if (costs.size() == cells.size()) out.ratios = RatiosOf(costs);
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

std::string FormatSuiteTable(std::span<const SuiteRow> rows, bool comparable) {
  TextTable rates(
      "Success over cells (mean of the cells, %; 95% intervals; above chance: cells whose interval "
      "of decisive right lies above chance as a whole)",
      {"arm", "cells", "n", "success", "decisive right", "chance", "above chance"});
  TextTable costs(
      "Costs over cells against full (ratio of sums over the cells; last: the last 10% of each "
      "episode; of cells: mean of the cells' own ratios of live KV)",
      {"arm", "live KV", "of cells", "attending", "FLOPs", "decoder, last", "inference, last"});
  const auto time = [&](const Interval& ratio) {
    return (comparable || !std::isfinite(ratio.value) ? "" : kNotComparableMark) +
           Fixed(ratio.value, 3);
  };
  for (const SuiteRow& row : rows) {
    const std::string group = row.memory ? "memory cells" : "controls";
    const std::string arm = Shorten(row.arm, kMaxName);
    rates.Add(group,
              {arm, std::to_string(row.cells), std::to_string(row.episodes), Percent(row.success),
               Percent(row.decisive), row.memory ? Fixed(100 * row.chance, 1) : "-",
               row.memory ? fmt::format("{} of {}", row.cells_above_chance, row.cells) : "-"});
    if (!row.ratios) continue;
    const CostRatios& r = *row.ratios;
    costs.Add(group, {arm, Ratio(r.kv_bytes), Fixed(r.kv_bytes_of_cells, 3),
                      Fixed(r.attending_bytes.value, 3), Fixed(r.flops.value, 3),
                      time(r.decoder_last10), time(r.latency_last10)});
  }
  if (rates.empty()) return "";
  return rates.Format() + (costs.empty() ? "" : "\n" + costs.Format());
}

nlohmann::json SuiteJson(std::span<const SuiteRow> rows) {
  nlohmann::json out = nlohmann::json::array();
  for (const SuiteRow& row : rows) {
    nlohmann::json item = {{"arm", row.arm},
                           {"kind", row.memory ? "memory" : "control"},
                           {"cells", row.cells},
                           {"episodes", row.episodes},
                           {"success", JsonRate(row.success)},
                           {"decisive", JsonRate(row.decisive)},
                           {"chance", JsonNumber(row.memory ? row.chance : kNan)},
                           {"cells_above_chance", nullptr},
                           {"against_full", nullptr}};
    if (row.memory) item["cells_above_chance"] = row.cells_above_chance;
    if (row.ratios) item["against_full"] = RatiosJson(*row.ratios);
    out.push_back(std::move(item));
  }
  return out;
}

}  // namespace kvla
