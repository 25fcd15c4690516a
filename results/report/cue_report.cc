// SPDX-License-Identifier: Apache-2.0
#include "results/report/cue_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <utility>

#include "base/text.h"
#include "results/report/csv_line.h"
#include "results/report/heat_map.h"
#include "results/report/json_values.h"
#include "results/report/no_success.h"
#include "results/report/text_table.h"

namespace kvla {
namespace {

using nlohmann::json;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr const char* kPartNames[kCueParts] = {"first third", "middle", "last third"};

using CellKey = std::pair<std::string, std::string>;               // task, delay
using ArmKey = std::tuple<std::string, std::string, std::string>;  // and arm

struct Extent {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void Add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  double Bound(size_t part) const {
    return low + (high - low) * static_cast<double>(part) / kCueParts;
  }
  size_t PartOf(double value) const {
    if (!(high > low)) return 0;
    const double part = std::floor(kCueParts * (value - low) / (high - low));
    return static_cast<size_t>(std::clamp(part, 0.0, kCueParts - 1.0));
  }
};

std::optional<double> ValueOf(const EpisodeRow& row, CueAxis axis) {
  return axis == CueAxis::kOnset ? row.onset_s : row.wait_s;
}

// As the run keeps it: {task: {delay: {"onset": [4, 44.3], "wait": [...]}}}.
void AddKept(const RunMeta& meta, CueAxis axis, std::map<CellKey, Extent>* extents) {
  const auto found = meta.find("cue_ranges");
  const json kept = found == meta.end() ? json() : json::parse(found->second, nullptr, false);
  for (auto& [cell, extent] : *extents) {
    const json::json_pointer path =
        json::json_pointer() / cell.first / cell.second / CueAxisName(axis);
    if (!kept.is_object() || !kept.contains(path)) continue;
    const json& range = kept.at(path);
    if (!range.is_array()) continue;
    for (const json& bound : range) {
      if (bound.is_number()) extent.Add(bound.get<double>());
    }
  }
}

// What the episodes of one row and part add up to.
struct Counts {
  int episodes = 0, successes = 0, reached = 0, right = 0;
  void Add(const EpisodeRow& row) {
    ++episodes;
    successes += row.success ? 1 : 0;
    reached += row.decisive_reached ? 1 : 0;
    right += row.decisive_reached && row.decisive_right ? 1 : 0;
  }
  void Add(const Counts& other) {
    episodes += other.episodes;
    successes += other.successes;
    reached += other.reached;
    right += other.right;
  }
};
using PartCounts = std::array<Counts, kCueParts>;

CuePart PartFrom(const Counts& counts, double low_s, double high_s) {
  const auto rate = [](int k, int n) {
    return n > 0 ? WilsonInterval(k, n) : Interval{kNan, kNan, kNan};
  };
  return {.low_s = low_s,
          .high_s = high_s,
          .episodes = counts.episodes,
          .success = rate(counts.successes, counts.episodes),
          .decisive_reached = counts.reached,
          .decisive = rate(counts.right, counts.reached)};
}

// The rows of an arm at a delay over all memory tasks, in the order in which `rows` have them.
std::vector<CueRow> Pooled(const std::vector<CueRow>& rows, const std::set<CellKey>& memory,
                           const std::map<ArmKey, PartCounts>& counts) {
  std::vector<CueRow> out;
  std::map<std::pair<std::string, std::string>, PartCounts> sums;  // by delay and arm
  for (const CueRow& row : rows) {
    if (!memory.contains({row.task, row.delay})) continue;
    const auto at = std::ranges::find_if(
        out, [&](const CueRow& r) { return r.arm == row.arm && r.delay == row.delay; });
    if (at == out.end()) {
      out.push_back({.arm = row.arm, .task = "", .delay = row.delay, .tasks = 1, .parts = {}});
    } else {
      ++at->tasks;
    }
    PartCounts& sum = sums[{row.delay, row.arm}];
    const PartCounts& of_task = counts.at({row.task, row.delay, row.arm});
    for (size_t p = 0; p < kCueParts; ++p) sum[p].Add(of_task[p]);
  }
  std::erase_if(out, [](const CueRow& row) { return row.tasks < 2; });
  for (CueRow& row : out) {
    const PartCounts& sum = sums[{row.delay, row.arm}];
    for (size_t p = 0; p < kCueParts; ++p) row.parts[p] = PartFrom(sum[p], kNan, kNan);
  }
  // By delay: the rows were by task, where one may lack a delay.
  std::map<std::string, size_t> order;
  for (const CueRow& row : out) order.try_emplace(row.delay, order.size());
  std::ranges::stable_sort(out, {}, [&](const CueRow& row) { return order[row.delay]; });
  return out;
}

// Pooled rows alone, where there are any.
std::vector<const CueRow*> Shown(const std::vector<CueRow>& rows) {
  const bool pooled = std::ranges::any_of(rows, [](const CueRow& r) { return r.task.empty(); });
  std::vector<const CueRow*> shown;
  for (const CueRow& row : rows) {
    if (!pooled || row.task.empty()) shown.push_back(&row);
  }
  return shown;
}

std::string GroupOf(const CueRow& row) {
  const std::string delay = row.delay.empty() ? "" : ", " + row.delay;
  if (row.task.empty()) return fmt::format("{} memory tasks{}", row.tasks, delay);
  std::vector<std::string> bounds;
  for (const CuePart& part : row.parts) bounds.push_back(fmt::format("{:.1f}", part.low_s));
  return fmt::format("{}{} (from {} s; to {:.1f} s)", row.task, delay, Join(bounds, ", "),
                     row.parts.back().high_s);
}

}  // namespace

const char* CueAxisName(CueAxis axis) { return axis == CueAxis::kOnset ? "onset" : "wait"; }

Result<CueAxis> ParseCueAxis(const std::string& name) {
  for (const CueAxis axis : {CueAxis::kOnset, CueAxis::kWait}) {
    if (name == CueAxisName(axis)) return axis;
  }
  return BadInput(fmt::format("'{}': should be onset or wait", name));
}

Result<std::vector<CueRow>> BuildCueRows(const Report& report, CueAxis axis) {
  if (HasRandomWeights(report.meta)) return BadInput(kNoSuccess);
  std::map<CellKey, Extent> extents;
  for (const EpisodeRow& e : report.episodes) {
    if (const auto value = ValueOf(e, axis)) extents[{e.id.task, e.id.delay}].Add(*value);
  }
  if (extents.empty()) {
    return BadInput(fmt::format(
        "no episode says its {}: the tasks have no cue to remember, or the run is from before it "
        "was kept",
        CueAxisName(axis)));
  }
  AddKept(report.meta, axis, &extents);
  std::map<ArmKey, PartCounts> counts;
  for (const EpisodeRow& e : report.episodes) {
    const auto value = ValueOf(e, axis);
    if (!value || e.is_error()) continue;
    const size_t part = extents.at({e.id.task, e.id.delay}).PartOf(*value);
    counts[{e.id.task, e.id.delay, e.id.arm}][part].Add(e);
  }
  std::vector<CueRow> rows;
  std::set<CellKey> memory;
  for (const ReportRow& r : report.rows) {
    const auto found = counts.find({r.task, r.delay, r.arm});
    if (found == counts.end()) continue;
    if (r.chance > 0) memory.insert({r.task, r.delay});
    CueRow row{.arm = r.arm, .task = r.task, .delay = r.delay, .tasks = 1, .parts = {}};
    const Extent& extent = extents.at({r.task, r.delay});
    for (size_t p = 0; p < kCueParts; ++p) {
      row.parts[p] = PartFrom(found->second[p], extent.Bound(p), extent.Bound(p + 1));
    }
    rows.push_back(std::move(row));
  }
  std::vector<CueRow> out = Pooled(rows, memory, counts);
  out.insert(out.end(), rows.begin(), rows.end());
  return out;
}

std::string FormatCueTable(const std::vector<CueRow>& rows, CueAxis axis) {
  const std::string by =
      axis == CueAxis::kOnset
          ? "by when the first cue was shown (thirds of the times at which it may be)"
          : "by how long it had to be remembered (thirds of the waits that there may be)";
  std::vector<std::string> header = {"arm", "n"};
  header.insert(header.end(), std::begin(kPartNames), std::end(kPartNames));
  TextTable success("Success " + by + " (%, Wilson's 95% intervals)", header);
  TextTable decisive("Decisive right " + by + " (%, of those that reached it)", header);
  for (const CueRow* row : Shown(rows)) {
    std::vector<std::string> rates, rights, n, reached;
    for (const CuePart& part : row->parts) {
      n.push_back(std::to_string(part.episodes));
      reached.push_back(std::to_string(part.decisive_reached));
      rates.push_back(Percent(part.success));
      rights.push_back(Percent(part.decisive));
    }
    const std::string arm = Shorten(row->arm, kMaxName);
    const auto add = [&](TextTable* table, const std::vector<std::string>& counts,
                         const std::vector<std::string>& cells) {
      std::vector<std::string> line = {arm, Join(counts, "/")};
      line.insert(line.end(), cells.begin(), cells.end());
      table->Add(GroupOf(*row), std::move(line));
    };
    add(&success, n, rates);
    add(&decisive, reached, rights);
  }
  const bool pooled = !rows.empty() && rows.front().task.empty();
  return Printable(success.Format() + "\n" + decisive.Format() +
                   (pooled ? "\nOf each task: --task, --json, --csv\n" : ""));
}

json CueJson(const std::vector<CueRow>& rows, CueAxis axis) {
  json out = {{"by", CueAxisName(axis)}, {"rows", json::array()}};
  for (const CueRow& row : rows) {
    json parts = json::array();
    for (const CuePart& part : row.parts) {
      parts.push_back({{"low_s", JsonNumber(part.low_s)},
                       {"high_s", JsonNumber(part.high_s)},
                       {"episodes", part.episodes},
                       {"success", JsonRate(part.success)},
                       {"decisive_reached", part.decisive_reached},
                       {"decisive", JsonRate(part.decisive)}});
    }
    out["rows"].push_back({{"arm", row.arm},
                           {"task", row.task.empty() ? json() : json(row.task)},
                           {"delay", row.delay},
                           {"tasks", row.tasks},
                           {"parts", std::move(parts)}});
  }
  return out;
}

std::string CueCsv(const std::vector<CueRow>& rows, CueAxis axis) {
  std::string out = fmt::format(
      "task,tasks,delay,arm,part,{0}_low_s,{0}_high_s,episodes,success,success_low,success_high,"
      "decisive_reached,decisive,decisive_low,decisive_high\r\n",
      CueAxisName(axis));
  for (const CueRow& row : rows) {
    for (size_t p = 0; p < kCueParts; ++p) {
      const CuePart& part = row.parts[p];
      CsvLine line;
      line.Add(row.task).Add(row.tasks).Add(row.delay).Add(row.arm).Add(p + 1).Add(part.low_s);
      line.Add(part.high_s).Add(part.episodes).Add(part.success).Add(part.decisive_reached);
      out += line.Add(part.decisive).End();
    }
  }
  return out;
}

std::string CueSvg(const std::vector<CueRow>& rows, CueAxis axis) {
  HeatMap map{.title = axis == CueAxis::kOnset ? "Success (%), by when the first cue was shown"
                                               : "Success (%), by how long it was remembered",
              .columns = {std::begin(kPartNames), std::end(kPartNames)},
              .rows = {}};
  for (const CueRow* row : Shown(rows)) {
    std::vector<std::string> label = {row->task, row->delay, row->arm};
    std::erase(label, "");
    HeatMap::Row& line =
        map.rows.emplace_back(Shorten(Join(label, ", "), 34), std::vector<double>());
    for (const CuePart& part : row->parts) line.rates.push_back(part.success.value);
  }
  return HeatMapSvg(map);
}

}  // namespace kvla
