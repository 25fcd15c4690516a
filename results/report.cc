#include "results/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <regex>
#include <set>
#include <tuple>
#include <utility>

#include "base/rng.h"
#include "results/json_values.h"

namespace kvla {
namespace {

using nlohmann::json;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kParts = std::size(kLatencyPartNames);

// What a cell's inferences add up to; floats, because a night's run has millions of them.
struct CellCosts {
  std::vector<float> total;
  std::vector<float> parts[kParts];
  std::vector<float> decoder_last10;
  double bytes_sum = 0, flops_sum = 0, flops_last_sum = 0, tokens_last_sum = 0;
  int64_t bytes_peak = 0;
  int64_t inferences = 0, episodes = 0;  // episodes with an inference

  void Add(const std::vector<InferenceEvent>& events) {
    if (events.empty()) return;
    ++episodes;
    const size_t tail = std::max<size_t>(1, (events.size() + 9) / 10);
    for (size_t i = 0; i < events.size(); ++i) {
      const InferenceEvent& e = events[i];
      const LatencyParts& l = e.latency;
      total.push_back(static_cast<float>(l.total_ms()));
      const double values[kParts] = {l.render_ms, l.encode_ms,  l.linear_ms, l.attend_ms,
                                     l.gate_ms,   l.compact_ms, l.act_ms};
      for (size_t p = 0; p < kParts; ++p) parts[p].push_back(static_cast<float>(values[p]));
      if (i + tail >= events.size()) {
        decoder_last10.push_back(static_cast<float>(l.decoder_ms()));
      }
      bytes_sum += static_cast<double>(e.kv_live_bytes);
      bytes_peak = std::max(bytes_peak, e.kv_live_bytes);
      flops_sum += e.flops;
      ++inferences;
    }
    flops_last_sum += events.back().flops;
    tokens_last_sum += events.back().cached_tokens;
  }
};

Percentiles PercentilesOf(const std::vector<float>& values) {
  if (values.empty()) return {kNan, kNan, kNan, kNan};
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  return {QuantileSorted(sorted, 0.5), QuantileSorted(sorted, 0.95), QuantileSorted(sorted, 0.99),
          sorted.back()};
}

void FillCosts(const CellCosts& costs, ReportRow* row) {
  const auto per = [](double sum, int64_t n) {
    return n > 0 ? sum / static_cast<double>(n) : kNan;
  };
  row->latency_ms = PercentilesOf(costs.total);
  for (const auto& part : costs.parts) row->parts_ms.push_back(PercentilesOf(part));
  row->decoder_ms_last10_p50 = PercentilesOf(costs.decoder_last10).p50;
  row->kv_bytes_mean = per(costs.bytes_sum, costs.inferences);
  row->kv_bytes_peak = costs.inferences > 0 ? static_cast<double>(costs.bytes_peak) : kNan;
  row->flops_mean = per(costs.flops_sum, costs.inferences);
  row->flops_last = per(costs.flops_last_sum, costs.episodes);
  row->cached_tokens_last = per(costs.tokens_last_sum, costs.episodes);
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
    if (e->is_error()) {
      ++row.errors;
      continue;
    }
    ++n;
    row.chance = e->chance;
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

AgainstFull Compare(const ReportRow& row, const Cell& cell, const ReportRow& full_row,
                    const Cell& full_cell) {
  AgainstFull out;
  out.kv_bytes_ratio = row.kv_bytes_mean / full_row.kv_bytes_mean;
  out.flops_ratio = row.flops_mean / full_row.flops_mean;
  out.decoder_ratio = row.decoder_ms_last10_p50 / full_row.decoder_ms_last10_p50;
  std::map<int64_t, bool> of_full;
  for (const EpisodeRow* e : full_cell) {
    if (!e->is_error()) of_full[e->id.seed] = e->success;
  }
  std::vector<double> a, b;
  int64_t only_arm = 0, only_full = 0;
  for (const EpisodeRow* e : cell) {
    const auto pair = of_full.find(e->id.seed);
    if (e->is_error() || pair == of_full.end()) continue;
    a.push_back(e->success ? 100 : 0);
    b.push_back(pair->second ? 100 : 0);
    only_arm += e->success && !pair->second ? 1 : 0;
    only_full += !e->success && pair->second ? 1 : 0;
  }
  out.pairs = static_cast<int>(a.size());
  out.success_points = PairedBootstrap(a, b, BootstrapRng("difference"));
  out.mcnemar_p = out.pairs > 0 ? McNemarExact(only_arm, only_full) : kNan;
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

// ---- JSON ----

json PercentilesJson(const Percentiles& p) {
  return {{"p50", JsonNumber(p.p50)},
          {"p95", JsonNumber(p.p95)},
          {"p99", JsonNumber(p.p99)},
          {"max", JsonNumber(p.max)}};
}

json RowJson(const ReportRow& r) {
  return {
      {"arm", r.arm},
      {"task", r.task},
      {"delay", r.delay},
      {"episodes", r.episodes},
      {"errors", r.errors},
      {"success", JsonRate(r.success)},
      {"decisive", JsonRate(r.decisive)},
      {"progress",
       {{"mean", JsonNumber(r.progress.value)},
        {"low", JsonNumber(r.progress.low)},
        {"high", JsonNumber(r.progress.high)}}},
      {"latency_ms", PercentilesJson(r.latency_ms)},
      {"decoder_ms_last10", {{"p50", JsonNumber(r.decoder_ms_last10_p50)}}},
      {"kv_bytes", {{"mean", JsonNumber(r.kv_bytes_mean)}, {"peak", JsonNumber(r.kv_bytes_peak)}}},
      {"flops", {{"mean", JsonNumber(r.flops_mean)}, {"last", JsonNumber(r.flops_last)}}}};
}

json DetailJson(const ReportRow& r) {
  json parts = json::object();
  for (size_t p = 0; p < r.parts_ms.size(); ++p) {
    parts[kLatencyPartNames[p]] = PercentilesJson(r.parts_ms[p]);
  }
  json against = nullptr;
  if (r.against_full) {
    const AgainstFull& f = *r.against_full;
    against = {{"pairs", f.pairs},
               {"kv_bytes_ratio", JsonNumber(f.kv_bytes_ratio)},
               {"flops_ratio", JsonNumber(f.flops_ratio)},
               {"decoder_ratio", JsonNumber(f.decoder_ratio)},
               {"success_points",
                {{"difference", JsonNumber(f.success_points.value)},
                 {"low", JsonNumber(f.success_points.low)},
                 {"high", JsonNumber(f.success_points.high)}}},
               {"mcnemar_p", JsonNumber(f.mcnemar_p)}};
  }
  json stages = json::array();
  for (const StageProgress& s : r.stages) {
    stages.push_back({{"name", s.name},
                      {"decisive", s.decisive},
                      {"reached", JsonRate(s.reached)},
                      {"p50_s", JsonNumber(s.p50_s)},
                      {"known", s.known}});
  }
  return {{"arm", r.arm},
          {"task", r.task},
          {"delay", r.delay},
          {"stages", std::move(stages)},
          {"time_to_success",
           {{"successes", r.time.successes},
            {"p50_s", JsonNumber(r.time.p50_s)},
            {"p90_s", JsonNumber(r.time.p90_s)},
            {"restricted_mean_s", JsonInterval(r.time.restricted_s)}}},
          {"trace_mb_per_episode", r.trace_bytes / 1e6},
          {"decisive_reached", r.decisive_reached},
          {"chance", JsonNumber(r.chance)},
          {"motor", JsonRate(r.motor)},
          {"cached_tokens_last", JsonNumber(r.cached_tokens_last)},
          {"parts_ms", std::move(parts)},
          {"against_full", std::move(against)}};
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

}  // namespace

Result<Report> BuildReport(const RunStore& store, const ReportFilter& filter) {
  Report report;
  Result<RunMeta> meta = store.Meta();
  if (!meta.ok()) return meta.status();
  report.meta = std::move(*meta);
  Result<std::vector<EpisodeRow>> episodes = store.Episodes();
  if (!episodes.ok()) return episodes.status();
  report.episodes = std::move(*episodes);
  if (Status status = ApplyFilter(filter, &report.episodes); !status.ok()) return status;

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

  std::map<CellKey, CellCosts> costs;
  // An episode that ends between the two reads is in neither: only those of the list count.
  const Status status =
      store.ForEachInferences([&](const EpisodeId& id, const std::vector<InferenceEvent>& events) {
        if (counted.contains(id)) costs[{id.arm, id.task, id.delay}].Add(events);
      });
  if (!status.ok()) return status;

  for (const auto& [key, cell] : cells) {
    ReportRow row = RatesOf(cell);
    FillCosts(costs[key], &row);
    costs.erase(key);
    report.rows.push_back(std::move(row));
  }
  for (ReportRow& row : report.rows) {
    if (row.arm == "full") continue;
    const auto full = std::find_if(report.rows.begin(), report.rows.end(), [&](const auto& r) {
      return r.arm == "full" && r.task == row.task && r.delay == row.delay;
    });
    if (full == report.rows.end()) continue;
    row.against_full = Compare(row, cells[{row.arm, row.task, row.delay}], *full,
                               cells[{"full", row.task, row.delay}]);
  }

  auto clock = BuildClockRows(store, report.meta, report.episodes);
  if (!clock.ok()) return clock.status();
  report.clock = *std::move(clock);

  const std::vector<std::string> arms = ArmOrder(report.meta);
  const std::vector<std::string> delays = {"short", "medium", "long"};
  const auto before = [&](const auto& a, const auto& b) {
    const auto rank = [&](const auto& r) {
      return std::make_tuple(r.task, Rank(delays, r.delay), Rank(arms, r.arm));
    };
    return rank(a) < rank(b);
  };
  std::sort(report.rows.begin(), report.rows.end(), before);
  std::sort(report.clock.begin(), report.clock.end(), before);
  report.suite = BuildSuiteRows(report.rows);
  return report;
}

json ReportJson(const Report& report, bool episodes) {
  json out = {{"rows", json::array()}, {"details", json::array()}, {"warnings", report.warnings}};
  for (const ReportRow& row : report.rows) {
    out["rows"].push_back(RowJson(row));
    out["details"].push_back(DetailJson(row));
  }
  if (!report.suite.empty()) out["suite"] = SuiteJson(report.suite);
  if (!report.clock.empty()) out["clock"] = ClockJson(report.clock);
  if (!episodes) return out;
  out["episodes"] = json::array();
  for (const EpisodeRow& e : report.episodes) {
    out["episodes"].push_back({{"arm", e.id.arm},
                               {"task", e.id.task},
                               {"delay", e.id.delay},
                               {"seed", e.id.seed},
                               {"outcome", e.outcome},
                               {"success", e.success},
                               {"progress", JsonNumber(e.progress)},
                               {"steps", e.steps},
                               {"state_hash", e.state_hash}});
  }
  return out;
}

}  // namespace kvla
