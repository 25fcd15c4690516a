// SPDX-License-Identifier: Apache-2.0
#include "results/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <regex>
#include <set>
#include <span>
#include <tuple>
#include <utility>

#include "base/rng.h"
#include "results/report/comparable.h"
#include "results/report/no_success.h"
#include "results/statistics/paired.h"

namespace kvla {
namespace {

using nlohmann::json;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
// What a cell's inferences took; floats, because a night's run has millions of them.
struct CellTimes {
  std::vector<float> total, total_last10, decoder_last10;
  std::array<std::vector<float>, kLatencyParts> parts;

  void Add(const std::vector<InferenceEvent>& events) {
    for (const InferenceEvent& e : events) {
      total.push_back(static_cast<float>(e.cost.latency.total_ms()));
      const auto values = PartsOf(e.cost.latency);
      for (size_t p = 0; p < kLatencyParts; ++p) parts[p].push_back(static_cast<float>(values[p]));
    }
    for (const InferenceEvent& e : LastTenth(events)) {
      total_last10.push_back(static_cast<float>(e.cost.latency.total_ms()));
      decoder_last10.push_back(static_cast<float>(e.cost.latency.decoder_ms()));
    }
  }
};

Percentiles PercentilesOf(const std::vector<float>& values) {
  if (values.empty()) return {kNan, kNan, kNan, kNan};
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  return {QuantileSorted(sorted, 0.5), QuantileSorted(sorted, 0.95), QuantileSorted(sorted, 0.99),
          sorted.back()};
}

void FillTimes(const CellTimes& times, ReportRow* row) {
  row->latency_ms = PercentilesOf(times.total);
  row->latency_ms_last10 = PercentilesOf(times.total_last10);
  row->decoder_ms_last10 = PercentilesOf(times.decoder_last10);
  for (const auto& part : times.parts) row->parts_ms.push_back(PercentilesOf(part));
}

// A fixed stream: the same episodes give the same interval.
Rng BootstrapRng(const std::string& purpose) { return Rng(StableHash(purpose)); }

using Cell = std::vector<const EpisodeRow*>;

void FillStages(const Cell& cell, ReportRow* row) {
  std::vector<TimedOutcome> times;
  std::vector<std::vector<double>> seconds;
  std::vector<int64_t> reached;
  int64_t n = 0;
  double bytes = 0;
  for (const EpisodeRow* e : cell) {
    bytes += static_cast<double>(e->trace_bytes);
    if (e->is_error()) continue;
    ++n;
    times.push_back(
        {e->success, e->steps / e->control_rate_hz, e->horizon_steps / e->control_rate_hz});
    row->stages.resize(std::max(row->stages.size(), e->stages.size()));
    seconds.resize(row->stages.size());
    reached.resize(row->stages.size());
    for (size_t i = 0; i < e->stages.size(); ++i) {
      row->stages[i].name = e->stages[i].name;
      row->stages[i].decisive = e->stages[i].decisive;
      reached[i] += e->stages_reached[i] ? 1 : 0;
      if (e->stage_steps[i] >= 0) seconds[i].push_back(e->stage_steps[i] / e->control_rate_hz);
    }
  }
  for (size_t i = 0; i < row->stages.size(); ++i) {
    row->stages[i].reached = WilsonInterval(reached[i], n);
    row->stages[i].p50_s = Quantile(seconds[i], 0.5);
    row->stages[i].known = static_cast<int>(seconds[i].size());
  }
  row->time = TimeToSuccessOf(times, BootstrapRng("time"));
  row->trace_bytes = bytes / static_cast<double>(cell.size());
}

ReportRow RatesOf(const Cell& cell) {
  ReportRow row;
  row.arm = cell[0]->id.arm;
  row.task = cell[0]->id.task;
  row.delay = cell[0]->id.delay;
  int64_t n = 0, successes = 0, right = 0, motor = 0;
  std::vector<double> progress;
  for (const EpisodeRow* e : cell) {
    ++row.episodes;
    row.chance = e->chance;
    if (e->is_error()) {
      ++row.errors;
      continue;
    }
    ++n;
    successes += e->success ? 1 : 0;
    motor += e->motor_ok ? 1 : 0;
    progress.push_back(e->progress);
    if (!e->decisive_reached) continue;
    ++row.decisive_reached;
    right += e->decisive_right ? 1 : 0;
  }
  const auto rate = [](int64_t k, int64_t of) {
    return of > 0 ? WilsonInterval(k, of) : Interval{kNan, kNan, kNan};
  };
  row.success = rate(successes, n);
  row.decisive = rate(right, row.decisive_reached);
  row.motor = rate(motor, n);
  row.progress = BootstrapMean(progress, BootstrapRng("progress"));
  FillStages(cell, &row);
  return row;
}

AgainstFull Compare(const Cell& cell, const Cell& full_cell,
                    const std::map<EpisodeId, Costs>& costs) {
  AgainstFull out;
  std::map<int64_t, const EpisodeRow*> of_full;  // by seed
  for (const EpisodeRow* e : full_cell) {
    if (!e->is_error()) of_full[e->id.seed] = e;
  }
  PairCounts pairs;
  for (const EpisodeRow* e : cell) {
    const auto pair = of_full.find(e->id.seed);
    if (e->is_error() || pair == of_full.end()) continue;
    const EpisodeRow& full = *pair->second;
    pairs.Add(e->success, full.success);
    out.costs.Add(costs.at(e->id), costs.at(full.id));
  }
  out.pairs = static_cast<int>(pairs.n);
  const Interval d = TangoInterval(pairs);
  out.success_points = out.pairs > 0 ? Interval{100 * d.value, 100 * d.low, 100 * d.high}
                                     : Interval{kNan, kNan, kNan};
  out.mcnemar_p = out.pairs > 0 ? McNemarExact(pairs.only_a, pairs.only_b) : kNan;
  out.ratios = RatiosOf(std::span(&out.costs, 1));
  return out;
}

// Position in `order`; names that it does not hold come after, by name.
std::pair<size_t, std::string> Rank(const std::vector<std::string>& order,
                                    const std::string& name) {
  const auto found = std::find(order.begin(), order.end(), name);
  return {static_cast<size_t>(found - order.begin()), found == order.end() ? name : ""};
}

std::vector<std::string> ArmOrder(const RunMeta& meta) {
  const auto arms = meta.find("arms");
  if (arms != meta.end()) {
    const json list = json::parse(arms->second, nullptr, false);
    std::vector<std::string> order;
    for (const json& name : list) {
      if (name.is_string()) order.push_back(name.get<std::string>());
    }
    if (!order.empty()) return order;
  }
  return {"full"};
}

// Episodes' warnings, those of an arm that differ in numbers alone as one.
class WarningSummary {
 public:
  void Add(const EpisodeId& id, const std::string& text) {
    Kind& kind = kinds_[{id.arm, std::regex_replace(text, number_, "#")}];
    if (kind.episodes++ == 0) {
      kind.text = text;
      kind.first = id;
    }
    kind.same = kind.same && kind.text == text;
  }
  std::vector<std::string> Lines() const {
    std::vector<std::string> lines;
    for (const auto& [key, kind] : kinds_) {
      const std::string of = kind.same ? "" : "; the numbers are those of " + ToString(kind.first);
      lines.push_back(fmt::format("{}: {} ({} episode{}{})", key.first, kind.text, kind.episodes,
                                  kind.episodes == 1 ? "" : "s", of));
    }
    return lines;
  }

 private:
  struct Kind {
    std::string text;
    EpisodeId first;
    int episodes = 0;
    bool same = true;
  };
  const std::regex number_{"[0-9]+"};
  std::map<std::pair<std::string, std::string>, Kind> kinds_;  // by arm and text without numbers
};

// Of a policy that nobody trained.
void HideOutcomes(std::vector<EpisodeRow>* episodes) {
  for (EpisodeRow& e : *episodes) {
    if (!e.is_error()) e.outcome = kEnded;
    e.success = e.decisive_reached = e.decisive_right = e.motor_ok = false;
    e.progress = kNan;
  }
}

void HideRates(Report* report) {
  const Interval none{kNan, kNan, kNan};
  for (ReportRow& row : report->rows) {
    row.success = row.decisive = row.motor = row.progress = none;
    row.stages.clear();
    row.time = {.successes = 0, .p50_s = kNan, .p90_s = kNan, .restricted_s = none};
    if (!row.against_full) continue;
    row.against_full->success_points = none;
    row.against_full->mcnemar_p = kNan;
  }
  for (SuiteRow& row : report->suite) {
    row.success = row.decisive = none;
    row.cells_above_chance = 0;
  }
}

}  // namespace

// Rows of the run are gathered by cell; inferences stream by once, since a run's traces need not
// fit into memory, and leave costs by episode (for paired ratios) and times by cell (for
// quantiles).
Result<Report> BuildReport(const RunStore& store, const ReportFilter& filter) {
  Report report;
  Result<RunMeta> meta = store.Meta();
  if (!meta.ok()) return meta.status();
  report.meta = std::move(*meta);
  report.why_not_comparable = WhyNotComparable(std::span(&report.meta, 1));
  Result<std::vector<EpisodeRow>> episodes = store.Episodes();
  if (!episodes.ok()) return episodes.status();
  report.episodes = std::move(*episodes);
  if (Status status = ApplyFilter(filter, &report.episodes); !status.ok()) return status;

  const bool random = HasRandomWeights(report.meta);
  if (random) HideOutcomes(&report.episodes);

  using CellKey = std::tuple<std::string, std::string, std::string>;  // arm, task, delay
  std::map<CellKey, Cell> cells;
  std::set<EpisodeId> counted;
  WarningSummary warnings;
  for (const EpisodeRow& e : report.episodes) {
    cells[{e.id.arm, e.id.task, e.id.delay}].push_back(&e);
    if (!e.is_error()) counted.insert(e.id);
    for (const std::string& warning : e.warnings) warnings.Add(e.id, warning);
  }
  report.warnings = warnings.Lines();

  std::map<CellKey, CellTimes> times;
  std::map<CellKey, std::vector<Costs>> cell_costs;
  std::map<EpisodeId, Costs> costs;
  for (const EpisodeId& id : counted) costs[id] = CostsOf({});
  // An episode that ends between the two reads is in neither: only those of the list count.
  const Status status =
      store.ForEachInferences([&](const EpisodeId& id, const std::vector<InferenceEvent>& events) {
        if (!counted.contains(id)) return;
        const CellKey key{id.arm, id.task, id.delay};
        times[key].Add(events);
        cell_costs[key].push_back(costs[id] = CostsOf(events));
      });
  if (!status.ok()) return status;

  for (const auto& [key, cell] : cells) {
    ReportRow row = RatesOf(cell);
    row.costs = MeanCosts(cell_costs[key]);
    FillTimes(times[key], &row);
    times.erase(key);
    report.rows.push_back(std::move(row));
  }
  for (ReportRow& row : report.rows) {
    const auto full = cells.find({"full", row.task, row.delay});
    if (row.arm == "full" || full == cells.end()) continue;
    row.against_full = Compare(cells[{row.arm, row.task, row.delay}], full->second, costs);
  }

  auto clock = BuildClockRows(store, report.meta, report.episodes);
  if (!clock.ok()) return clock.status();
  if (!random) report.clock = *std::move(clock);  // of success under a clock

  const std::vector<std::string> arms = ArmOrder(report.meta);
  const std::vector<std::string> delays = {"short", "medium", "long", "longer"};
  const auto before = [&](const auto& a, const auto& b) {
    const auto rank = [&](const auto& r) {
      return std::make_tuple(r.task, Rank(delays, r.delay), Rank(arms, r.arm));
    };
    return rank(a) < rank(b);
  };
  std::sort(report.rows.begin(), report.rows.end(), before);
  std::sort(report.clock.begin(), report.clock.end(), before);
  report.suite = BuildSuiteRows(report.rows);
  if (random) HideRates(&report);
  return report;
}

}  // namespace kvla
