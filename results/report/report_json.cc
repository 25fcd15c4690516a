// SPDX-License-Identifier: Apache-2.0
// The JSON form of a report.
#include <cstddef>
#include <utility>

#include "results/report/json_values.h"
#include "results/report/no_success.h"
#include "results/report/report.h"

namespace kvla {
namespace {

using nlohmann::json;

json TimesJson(double mean, const Percentiles& p) {
  return {{"mean", JsonNumber(mean)},
          {"p50", JsonNumber(p.p50)},
          {"p95", JsonNumber(p.p95)},
          {"p99", JsonNumber(p.p99)},
          {"max", JsonNumber(p.max)}};
}

json BytesJson(const Costs& c) {
  return {{"mean", JsonNumber(c.kv_bytes)},
          {"peak", JsonNumber(c.kv_bytes_peak)},
          {"attending",
           {{"mean", JsonNumber(c.attending_bytes)}, {"peak", JsonNumber(c.attending_peak)}}},
          {"committed_peak", JsonNumber(c.committed_peak)},
          {"transient_peak", JsonNumber(c.transient_peak)},
          {"method", JsonNumber(c.method_bytes)}};
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
      {"latency_ms", TimesJson(r.costs.latency_ms, r.latency_ms)},
      {"latency_ms_last10", TimesJson(r.costs.latency_last10_ms, r.latency_ms_last10)},
      {"decoder_ms_last10", TimesJson(r.costs.decoder_last10_ms, r.decoder_ms_last10)},
      {"kv_bytes", BytesJson(r.costs)},
      {"flops", {{"mean", JsonNumber(r.costs.flops)}, {"last", JsonNumber(r.costs.flops_last)}}}};
}

json DetailJson(const ReportRow& r) {
  json parts = json::object();
  for (size_t p = 0; p < r.parts_ms.size(); ++p) {
    parts[kLatencyPartNames[p]] = TimesJson(r.costs.parts_ms[p], r.parts_ms[p]);
  }
  json against = nullptr;
  if (r.against_full) {
    const AgainstFull& f = *r.against_full;
    against = {{"pairs", f.pairs},
               {"kv_bytes_ratio", JsonNumber(f.ratios.kv_bytes.value)},
               {"kv_attending_ratio", JsonNumber(f.ratios.attending_bytes.value)},
               {"flops_ratio", JsonNumber(f.ratios.flops.value)},
               {"decoder_ratio", JsonNumber(f.ratios.decoder_last10.value)},
               {"latency_last10_ratio", JsonNumber(f.ratios.latency_last10.value)},
               {"latency_ratio", JsonNumber(f.ratios.latency.value)},
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
          {"cached_tokens_last", JsonNumber(r.costs.tokens_last)},
          {"parts_ms", std::move(parts)},
          {"against_full", std::move(against)}};
}

}  // namespace

json ReportJson(const Report& report, bool episodes) {
  json out = {{"rows", json::array()},
              {"details", json::array()},
              {"warnings", report.warnings},
              {"latency", LatencyJson(report.why_not_comparable)}};
  if (HasRandomWeights(report.meta)) out["no_success"] = kNoSuccess;
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
                               {"success", e.outcome == kEnded ? json(nullptr) : json(e.success)},
                               {"progress", JsonNumber(e.progress)},
                               {"steps", e.steps},
                               {"state_hash", e.state_hash}});
  }
  return out;
}

}  // namespace kvla
