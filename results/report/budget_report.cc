// SPDX-License-Identifier: Apache-2.0
#include "results/report/budget_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <utility>

#include "results/report/json_values.h"
#include "results/report/text_table.h"
#include "results/statistics/episode_costs.h"

namespace kvla {
namespace {

using nlohmann::json;
using Cell = std::pair<std::string, std::string>;  // task, delay
using Where = std::pair<Cell, int64_t>;            // and seed

Where WhereOf(const EpisodeId& id) { return {{id.task, id.delay}, id.seed}; }

// The episodes that a certificate rests on.
struct Study {
  std::map<std::string, std::map<Where, EpisodeRow>> arms;
  std::map<EpisodeId, Costs> costs;
  bool memory = false;
};

Result<Study> ReadStudy(const RunStore& store, const BudgetGrid& grid) {
  Study study;
  study.arms[grid.reference];
  for (const BudgetArm& arm : grid.arms) study.arms[arm.name];
  const Result<std::vector<EpisodeRow>> rows = store.Episodes();
  if (!rows.ok()) return rows.status();
  std::set<Cell> memory;
  for (const EpisodeRow& row : *rows) {
    const auto arm = study.arms.find(row.id.arm);
    if (arm == study.arms.end()) continue;
    arm->second[WhereOf(row.id)] = row;
    if (row.chance > 0) memory.insert({row.id.task, row.id.delay});
  }
  study.memory = !memory.empty();
  // A control loses nothing, whatever is dropped: it would hide what the others lose.
  for (auto& [name, episodes] : study.arms) {
    std::erase_if(episodes,
                  [&](const auto& e) { return study.memory && !memory.contains(e.first.first); });
  }
  const Status status =
      store.ForEachInferences([&](const EpisodeId& id, const std::vector<InferenceEvent>& events) {
        const auto arm = study.arms.find(id.arm);
        if (arm == study.arms.end() || !arm->second.contains(WhereOf(id))) return;
        study.costs[id] = CostsOf(events);
      });
  if (!status.ok()) return status;
  return study;
}

bool Counts(const EpisodeRow& row) { return !row.is_error() && row.comparable; }

BudgetRow RowOf(const Study& study, const BudgetGrid& grid, const BudgetArm& arm) {
  BudgetRow row;
  row.arm = arm;
  std::map<Cell, CostPairs> costs;
  const auto& reference = study.arms.at(grid.reference);
  for (const auto& [where, a] : study.arms.at(arm.name)) {
    const auto pair = reference.find(where);
    if (pair == reference.end()) continue;
    const EpisodeRow& b = pair->second;
    if (!Counts(a) || !Counts(b)) {
      ++row.left_out;
      continue;
    }
    row.pairs.Add(a.success, b.success);
    const auto a_costs = study.costs.find(a.id), b_costs = study.costs.find(b.id);
    if (a_costs == study.costs.end() || b_costs == study.costs.end()) continue;
    costs[where.first].Add(a_costs->second, b_costs->second);
  }
  std::vector<CostPairs> cells;
  for (auto& [cell, pairs] : costs) {
    row.kv_bytes += Mean(pairs.kv_bytes.a) / static_cast<double>(costs.size());
    cells.push_back(std::move(pairs));
  }
  row.kv_ratio = RatiosOf(cells).kv_bytes;
  return row;
}

std::string BudgetText(const BudgetArm& arm) {
  return arm.budget == kNoBudgetLimit ? "no limit" : std::to_string(arm.budget);
}

std::string VerdictText(const BudgetTest& test) {
  switch (test.verdict) {
    case BudgetVerdict::kCertified:
      return "certified";
    case BudgetVerdict::kRefuted:
      return "REFUTED";
    case BudgetVerdict::kCannotTell:
      return test.more > 0 ? fmt::format("cannot tell, {} more", test.more)
                           : "cannot tell, more would not";
    case BudgetVerdict::kNotTested:
      break;
  }
  return "not tested";
}

std::string Answer(const BudgetReport& report) {
  if (report.smallest < 0) {
    return fmt::format("no budget is certified to lose less than {:g} points", report.loss_points);
  }
  const BudgetRow& row = report.rows[static_cast<size_t>(report.smallest)];
  return fmt::format(
      "the smallest certified budget is that of {} ({} {}): it loses less than {:g} "
      "points, with {:g}% confidence over the whole grid",
      row.arm.name, report.setting, BudgetText(row.arm), report.loss_points,
      100 * (1 - report.alpha));
}

void AddNotes(const Study& study, const BudgetGrid& grid, BudgetReport* report) {
  std::set<Cell> cells;
  int64_t there = 0;
  for (const auto& [name, episodes] : study.arms) {
    for (const auto& [where, row] : episodes) cells.insert(where.first);
  }
  report->cells = static_cast<int>(cells.size());
  const int64_t planned = grid.episodes * report->cells * static_cast<int64_t>(study.arms.size());
  for (const auto& [name, episodes] : study.arms) there += static_cast<int64_t>(episodes.size());
  if (there < planned) {
    report->notes.push_back(
        fmt::format("the run is not finished: {} of {} episodes are there", there, planned));
  }
  for (const BudgetRow& row : report->rows) {
    if (row.left_out == 0) continue;
    report->notes.push_back(
        fmt::format("{}: {} pairs left out, in which an episode ended in an error or was touched",
                    row.arm.name, row.left_out));
  }
  for (const BudgetRow& row : report->rows) {
    if (row.test.verdict != BudgetVerdict::kCannotTell) continue;
    report->notes.push_back(fmt::format(
        "{}: {} decide with a chance of 80% if the two arms go on to win alone as often as they did "
        "(half a pair more on either side). Alpha holds for a number of episodes that was fixed "
        "before they were seen: take new seeds (first_episode), and so many in all",
        row.arm.name,
        row.test.more > 0 ? fmt::format("{} pairs", row.pairs.n + row.test.more)
                          : "not even a million pairs"));
  }
}

}  // namespace

Result<BudgetReport> BuildBudgetReport(const RunStore& store, const BudgetGrid& grid,
                                       double loss_points, double alpha) {
  const Result<Study> study = ReadStudy(store, grid);
  if (!study.ok()) return study.status();
  BudgetReport report;
  report.setting = grid.setting;
  report.reference = grid.reference;
  report.loss_points = loss_points;
  report.alpha = alpha;
  report.memory = study->memory;
  std::vector<PairCounts> pairs;
  for (const BudgetArm& arm : grid.arms) {
    report.rows.push_back(RowOf(*study, grid, arm));
    pairs.push_back(report.rows.back().pairs);
    if (pairs.back().n == 0) {
      return BadInput(fmt::format("{}: arm '{}' has no episode without error in common with '{}'",
                                  store.folder().string(), arm.name, grid.reference));
    }
  }
  const BudgetCertificate certificate = CertifyBudgets(pairs, loss_points / 100, alpha);
  for (size_t i = 0; i < report.rows.size(); ++i) report.rows[i].test = certificate.tests[i];
  report.smallest = certificate.smallest;
  AddNotes(*study, grid, &report);
  return report;
}

std::string FormatBudgetReport(const BudgetReport& report) {
  TextTable table(
      fmt::format("Is the loss of success to {} below {:g} points? From the largest budget down, "
                  "each with {:g}% confidence, as long as all above it are certified ({} {}{}; "
                  "points; Tango, one-sided bounds; live KiB)",
                  report.reference, report.loss_points, 100 * (1 - report.alpha), report.cells,
                  report.memory ? "memory cell" : "cell", report.cells == 1 ? "" : "s"),
      {"arm", report.setting, "live KV", "of full", "pairs", "won alone", "full alone",
       "difference", "p", "verdict"});
  for (const BudgetRow& row : report.rows) {
    const Interval& d = row.test.difference;
    table.Add("", {Shorten(row.arm.name, kMaxName), BudgetText(row.arm), KiB(row.kv_bytes),
                   Fixed(row.kv_ratio.value, 3), std::to_string(row.pairs.n),
                   std::to_string(row.pairs.only_a), std::to_string(row.pairs.only_b),
                   Signed({100 * d.value, 100 * d.low, 100 * d.high}),
                   row.test.verdict == BudgetVerdict::kNotTested ? "-" : PValue(row.test.p),
                   VerdictText(row.test)});
  }
  std::string out = table.Format() + "\n" + Wrap(Answer(report), "  ") + "\n";
  for (const std::string& note : report.notes) {
    out += Wrap("note: " + PrintableLine(note), "  ") + "\n";
  }
  return out;
}

json BudgetReportJson(const BudgetReport& report) {
  json rows = json::array();
  for (const BudgetRow& row : report.rows) {
    const bool tested = row.test.verdict != BudgetVerdict::kNotTested;
    json item = {{"arm", row.arm.name},
                 {"budget", nullptr},
                 {"kv_bytes", JsonNumber(row.kv_bytes)},
                 {"kv_bytes_ratio", JsonInterval(row.kv_ratio)},
                 {"pairs", row.pairs.n},
                 {"left_out", row.left_out},
                 {"only_arm", row.pairs.only_a},
                 {"only_reference", row.pairs.only_b},
                 {"difference", JsonInterval(row.test.difference)},
                 {"p", tested ? JsonNumber(row.test.p) : json(nullptr)},
                 {"verdict", BudgetVerdictName(row.test.verdict)},
                 {"more_pairs", nullptr}};
    if (row.arm.budget != kNoBudgetLimit) item["budget"] = row.arm.budget;
    if (row.test.more > 0) item["more_pairs"] = row.test.more;
    rows.push_back(std::move(item));
  }
  json out = {{"setting", report.setting},
              {"reference", report.reference},
              {"loss_points", report.loss_points},
              {"alpha", report.alpha},
              {"cells", report.cells},
              {"memory_cells_only", report.memory},
              {"smallest", nullptr},
              {"rows", std::move(rows)},
              {"notes", report.notes}};
  if (report.smallest >= 0) {
    out["smallest"] = report.rows[static_cast<size_t>(report.smallest)].arm.name;
  }
  return out;
}

}  // namespace kvla
