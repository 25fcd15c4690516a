#include "results/clock_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include "results/paired.h"

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

json Number(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

// Arm -> its twin, of the arms whose clock does not wait.
std::map<std::string, std::string> ClockedArms(const RunMeta& meta) {
  std::map<std::string, std::string> arms;
  const auto found = meta.find("frozen_twins");
  if (found == meta.end()) return arms;
  const json twins = json::parse(found->second, nullptr, false);
  if (!twins.is_object()) return arms;
  for (const auto& [arm, twin] : twins.items()) {
    arms[arm] = twin.is_string() ? twin.get<std::string>() : "";
  }
  return arms;
}

PairCounts Pairs(const Cell& twin, const Cell& arm) {
  PairCounts pairs;
  for (const auto& [seed, success] : arm.success) {
    const auto other = twin.success.find(seed);
    if (other == twin.success.end()) continue;
    ++pairs.n;
    pairs.only_a += other->second && !success ? 1 : 0;
    pairs.only_b += success && !other->second ? 1 : 0;
  }
  return pairs;
}

std::string Fixed(double value, int digits) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "-";
}

}  // namespace

Result<std::vector<ClockRow>> BuildClockRows(const RunStore& store, const RunMeta& meta,
                                             const std::vector<EpisodeRow>& episodes) {
  const std::map<std::string, std::string> arms = ClockedArms(meta);
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
    row.twin = clocked->second;
    row.lost_points = {kNan, kNan, kNan};
    if (const auto twin = cells.find({row.twin, task, delay}); twin != cells.end()) {
      const PairCounts pairs = Pairs(twin->second, cell);
      const Interval lost = TangoInterval(pairs);
      row.pairs = static_cast<int>(pairs.n);
      if (pairs.n > 0) row.lost_points = {100 * lost.value, 100 * lost.low, 100 * lost.high};
    }
    rows.push_back(std::move(row));
  }
  std::stable_sort(rows.begin(), rows.end(), [](const ClockRow& a, const ClockRow& b) {
    return std::tie(a.task, a.delay) < std::tie(b.task, b.delay);
  });
  return rows;
}

std::string FormatClockTable(const std::vector<ClockRow>& rows) {
  if (rows.empty()) return "";
  static constexpr char kLine[] = "  {:<24}  {:>9}  {:>9}  {:>13}  {:>7}  {:>18}  {:>6}  {}\n";
  std::string out =
      "Latency (ms as the world saw it; stale: control steps without a fresh action; lost: success "
      "below the frozen twin)\n";
  out += fmt::format(kLine, "arm", "think p50", "think p95", "stale/episode", "stale %",
                     "deadlines missed %", "pairs", "lost, points");
  const ClockRow* last = nullptr;
  for (const ClockRow& row : rows) {
    if (last == nullptr || last->task != row.task || last->delay != row.delay) {
      out += row.task + (row.delay.empty() ? "" : ", " + row.delay) + "\n";
    }
    last = &row;
    const std::string lost =
        row.pairs == 0 ? "-"
                       : fmt::format("{:+.1f} [{:+.1f}, {:+.1f}] against {}", row.lost_points.value,
                                     row.lost_points.low, row.lost_points.high, row.twin);
    out += fmt::format(kLine, row.arm, Fixed(row.think_ms_p50, 1), Fixed(row.think_ms_p95, 1),
                       Fixed(row.stale_steps, 1), Fixed(100 * row.stale_share, 1),
                       Fixed(100 * row.missed_deadlines, 1), row.pairs, lost);
  }
  return out;
}

json ClockJson(const std::vector<ClockRow>& rows) {
  json list = json::array();
  for (const ClockRow& row : rows) {
    list.push_back(
        {{"arm", row.arm},
         {"task", row.task},
         {"delay", row.delay},
         {"episodes", row.episodes},
         {"think_ms", {{"p50", Number(row.think_ms_p50)}, {"p95", Number(row.think_ms_p95)}}},
         {"stale_steps", Number(row.stale_steps)},
         {"stale_share", Number(row.stale_share)},
         {"missed_deadlines", Number(row.missed_deadlines)},
         {"twin", row.twin},
         {"pairs", row.pairs},
         {"lost_points",
          {{"value", Number(row.lost_points.value)},
           {"low", Number(row.lost_points.low)},
           {"high", Number(row.lost_points.high)}}}});
  }
  return list;
}

}  // namespace kvla
