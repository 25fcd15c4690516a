// SPDX-License-Identifier: Apache-2.0
#include "results/report/clock_report.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include "results/report/json_values.h"
#include "results/report/text_table.h"

namespace kvla {
namespace {

using nlohmann::json;
using CellKey = std::tuple<std::string, std::string, std::string>;  // arm, task, delay

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// What the inferences of one cell add up to.
struct Cell {
  std::vector<double> think_ms;
  double stale = 0, late = 0;
  std::map<int64_t, bool> success;  // by seed, without errors
  double control_steps = 0;
};

// Whom to compare an arm with whose clock does not wait.
struct Clocked {
  double control_rate_hz = kNan;
  std::string twin, full;
};

// By arm.
std::map<std::string, Clocked> ClockedArms(const RunMeta& meta) {
  std::map<std::string, Clocked> arms;
  const auto text = [](const json& value) {
    return value.is_string() ? value.get<std::string>() : std::string();
  };
  const auto list = [&](const char* key) {
    const auto found = meta.find(key);
    const json parsed = found == meta.end() ? json() : json::parse(found->second, nullptr, false);
    return parsed.is_object() ? parsed : json::object();
  };
  const json twins = list("frozen_twins"), clocked = list("clocked_arms");
  for (const auto& [arm, twin] : twins.items()) arms[arm].twin = text(twin);
  for (const auto& [arm, entry] : clocked.items()) {
    if (!entry.is_object()) continue;
    const auto rate = entry.find("control_rate_hz");
    arms[arm] = {rate != entry.end() && rate->is_number() ? rate->get<double>() : kNan,
                 text(entry.value("twin", json())), text(entry.value("full", json()))};
  }
  return arms;
}

PairCounts Pairs(const Cell& a, const Cell& b) {
  PairCounts pairs;
  for (const auto& [seed, success] : a.success) {
    const auto other = b.success.find(seed);
    if (other == b.success.end()) continue;
    pairs.Add(success, other->second);
  }
  return pairs;
}

Interval RateOf(const Cell& cell) {
  int64_t won = 0;
  for (const auto& [seed, success] : cell.success) won += success ? 1 : 0;
  return WilsonInterval(won, static_cast<int64_t>(cell.success.size()));
}

Interval Points(const PairCounts& pairs) {
  const Interval i = TangoInterval(pairs);
  return pairs.n > 0 ? Interval{100 * i.value, 100 * i.low, 100 * i.high}
                     : Interval{kNan, kNan, kNan};
}

}  // namespace

Result<std::vector<ClockRow>> BuildClockRows(const RunStore& store, const RunMeta& meta,
                                             const std::vector<EpisodeRow>& episodes) {
  const std::map<std::string, Clocked> arms = ClockedArms(meta);
  if (arms.empty()) return std::vector<ClockRow>();
  std::map<CellKey, Cell> cells;
  for (const EpisodeRow& row : episodes) {
    if (row.is_error()) continue;
    Cell& cell = cells[{row.id.arm, row.id.task, row.id.delay}];
    cell.success[row.id.seed] = row.success;
    cell.control_steps += row.steps;
  }
  const Status status = store.ForEachInferences(
      [&](const EpisodeId& id, const std::vector<InferenceEvent>& inferences) {
        const auto cell = cells.find({id.arm, id.task, id.delay});
        if (cell == cells.end() || !cell->second.success.contains(id.seed)) return;
        if (!arms.contains(id.arm)) return;
        for (const InferenceEvent& inference : inferences) {
          cell->second.think_ms.push_back(1e3 * inference.think_s);
          cell->second.stale += inference.stale_steps;
          cell->second.late += inference.late ? 1 : 0;
        }
      });
  if (!status.ok()) return status;

  std::vector<ClockRow> rows;
  for (const auto& [key, cell] : cells) {
    const auto& [arm, task, delay] = key;
    const auto clocked = arms.find(arm);
    if (clocked == arms.end()) continue;
    ClockRow row;
    row.arm = arm;
    row.task = task;
    row.delay = delay;
    row.episodes = static_cast<int>(cell.success.size());
    row.think_ms_p50 = Quantile(cell.think_ms, 0.5);
    row.think_ms_p95 = Quantile(cell.think_ms, 0.95);
    const auto inferences = static_cast<double>(cell.think_ms.size());
    row.stale_steps = cell.stale / static_cast<double>(row.episodes);
    row.stale_share = cell.control_steps > 0 ? cell.stale / cell.control_steps : kNan;
    row.missed_deadlines = inferences > 0 ? cell.late / inferences : kNan;
    row.control_rate_hz = clocked->second.control_rate_hz;
    row.success = RateOf(cell);
    row.twin = clocked->second.twin;
    row.lost_points = row.gain_points = row.full_success = {kNan, kNan, kNan};
    if (const auto twin = cells.find({row.twin, task, delay}); twin != cells.end()) {
      const PairCounts pairs = Pairs(twin->second, cell);
      row.pairs = static_cast<int>(pairs.n);
      row.lost_points = Points(pairs);
    }
    if (const auto full = cells.find({clocked->second.full, task, delay}); full != cells.end()) {
      row.full = clocked->second.full;
      row.against_full = Pairs(cell, full->second);
      row.full_success = RateOf(full->second);
      row.gain_points = Points(row.against_full);
      row.mcnemar_p = McNemarExact(row.against_full.only_a, row.against_full.only_b);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string FormatClockTable(const std::vector<ClockRow>& rows) {
  if (rows.empty()) return "";
  TextTable latency(
      "Clocks that do not wait (ms as the world saw it; "
      "stale: control steps of an episode without a "
      "fresh action)",
      {"arm", "rate, Hz", "think p50", "think p95", "stale", "stale %", "deadlines missed %"});
  TextTable lost("What latency cost: success below the frozen twin (points, the same episodes)",
                 {"arm", "pairs", "lost", "twin"});
  TextTable same(
      "Against the full cache under the same clock (%; difference in points, the same episodes)",
      {"arm", "pairs", "success", "full", "won alone", "full alone", "difference", "McNemar p"});
  for (const ClockRow& row : rows) {
    const std::string cell = row.task + (row.delay.empty() ? "" : ", " + row.delay);
    const std::string arm = Shorten(row.arm, kMaxName);
    latency.Add(cell, {arm, Short(row.control_rate_hz), Fixed(row.think_ms_p50, 1),
                       Fixed(row.think_ms_p95, 1), Fixed(row.stale_steps, 1),
                       Fixed(100 * row.stale_share, 1), Fixed(100 * row.missed_deadlines, 1)});
    if (row.pairs > 0) {
      lost.Add(cell, {arm, std::to_string(row.pairs), Signed(row.lost_points),
                      Shorten(row.twin, kMaxName)});
    }
    if (row.full.empty()) continue;
    same.Add(cell, {arm, std::to_string(row.against_full.n), Fixed(100 * row.success.value, 1),
                    Fixed(100 * row.full_success.value, 1), std::to_string(row.against_full.only_a),
                    std::to_string(row.against_full.only_b), Signed(row.gain_points),
                    PValue(row.mcnemar_p)});
  }
  return latency.Format() + (lost.empty() ? "" : "\n" + lost.Format()) +
         (same.empty() ? "" : "\n" + same.Format());
}

json ClockJson(const std::vector<ClockRow>& rows) {
  json list = json::array();
  for (const ClockRow& row : rows) {
    json item = {{"arm", row.arm},
                 {"task", row.task},
                 {"delay", row.delay},
                 {"episodes", row.episodes},
                 {"control_rate_hz", JsonNumber(row.control_rate_hz)},
                 {"think_ms",
                  {{"p50", JsonNumber(row.think_ms_p50)}, {"p95", JsonNumber(row.think_ms_p95)}}},
                 {"stale_steps", JsonNumber(row.stale_steps)},
                 {"stale_share", JsonNumber(row.stale_share)},
                 {"missed_deadlines", JsonNumber(row.missed_deadlines)},
                 {"success", JsonInterval(row.success)},
                 {"twin", row.twin},
                 {"pairs", row.pairs},
                 {"lost_points", JsonInterval(row.lost_points)},
                 {"same_clock_full", nullptr}};
    if (!row.full.empty()) {
      item["same_clock_full"] = {{"arm", row.full},
                                 {"pairs", row.against_full.n},
                                 {"success", JsonInterval(row.full_success)},
                                 {"only_arm", row.against_full.only_a},
                                 {"only_full", row.against_full.only_b},
                                 {"difference_points", JsonInterval(row.gain_points)},
                                 {"mcnemar_p", JsonNumber(row.mcnemar_p)}};
    }
    list.push_back(std::move(item));
  }
  return list;
}

}  // namespace kvla
