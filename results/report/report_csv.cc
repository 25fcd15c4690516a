// SPDX-License-Identifier: Apache-2.0
// A report as comma-separated values.
#include <fmt/format.h>

#include <cmath>

#include "results/report/csv_line.h"
#include "results/report/no_success.h"
#include "results/report/report.h"

namespace kvla {
namespace {

std::string EpisodesCsv(const Report& report) {
  std::string out =
      "arm,task,delay,seed,outcome,success,progress,decisive_reached,decisive_right,motor_ok,steps,"
      "seconds,state_hash,wall_s,video,onset_s,wait_s,error\r\n";
  for (const EpisodeRow& e : report.episodes) {
    CsvLine line;
    line.Add(e.id.arm).Add(e.id.task).Add(e.id.delay).Add(e.id.seed).Add(e.outcome);
    if (e.outcome == kEnded) {
      line.Add(NAN).Add(NAN).Add(NAN).Add(NAN).Add(NAN);
    } else {
      line.Add(int{e.success}).Add(e.progress).Add(int{e.decisive_reached});
      line.Add(int{e.decisive_right}).Add(int{e.motor_ok});
    }
    line.Add(e.steps);
    line.Add(e.steps / e.control_rate_hz).Add(e.state_hash).Add(e.wall_s).Add(e.video);
    line.Add(e.onset_s.value_or(NAN)).Add(e.wait_s.value_or(NAN));
    out += line.Add(e.error).End();
  }
  return out;
}

}  // namespace

std::string ReportCsv(const Report& report, bool episodes) {
  if (episodes) return EpisodesCsv(report);
  std::string out =
      "arm,task,delay,episodes,errors,success,success_low,success_high,decisive_reached,decisive,"
      "decisive_low,decisive_high,chance,motor,motor_low,motor_high,progress,progress_low,"
      "progress_high,time_to_success_p50_s,latency_comparable,latency_ms_mean,latency_ms_p50,"
      "latency_ms_p95,latency_ms_p99,latency_ms_max,latency_ms_last10_mean,latency_ms_last10_p95,"
      "decoder_ms_last10_mean,decoder_ms_last10_p50,decoder_ms_last10_p95,kv_bytes_mean,"
      "kv_bytes_peak,kv_attending_bytes_mean,kv_attending_bytes_peak,kv_committed_bytes_peak,"
      "kv_transient_bytes_peak,method_bytes,cached_tokens_last,flops_mean,flops_last,"
      "trace_mb_per_episode";
  for (const char* part : kLatencyPartNames) {
    out += fmt::format(",{0}_ms_mean,{0}_ms_p50,{0}_ms_p95", part);
  }
  out +=
      ",pairs_with_full,kv_bytes_ratio,kv_attending_ratio,flops_ratio,decoder_ratio,"
      "latency_last10_ratio,latency_ratio,difference_points,difference_points_low,"
      "difference_points_high,mcnemar_p\r\n";
  for (const ReportRow& r : report.rows) {
    CsvLine line;
    line.Add(r.arm).Add(r.task).Add(r.delay).Add(r.episodes).Add(r.errors).Add(r.success);
    line.Add(r.decisive_reached).Add(r.decisive).Add(r.chance).Add(r.motor).Add(r.progress);
    const Costs& c = r.costs;
    line.Add(r.time.p50_s).Add(int{report.why_not_comparable.empty()}).Add(c.latency_ms);
    line.Add(r.latency_ms.p50).Add(r.latency_ms.p95).Add(r.latency_ms.p99).Add(r.latency_ms.max);
    line.Add(c.latency_last10_ms).Add(r.latency_ms_last10.p95).Add(c.decoder_last10_ms);
    line.Add(r.decoder_ms_last10.p50).Add(r.decoder_ms_last10.p95).Add(c.kv_bytes);
    line.Add(c.kv_bytes_peak).Add(c.attending_bytes).Add(c.attending_peak).Add(c.committed_peak);
    line.Add(c.transient_peak).Add(c.method_bytes).Add(c.tokens_last).Add(c.flops);
    line.Add(c.flops_last).Add(r.trace_bytes / 1e6);
    for (size_t p = 0; p < r.parts_ms.size(); ++p) {
      line.Add(c.parts_ms[p]).Add(r.parts_ms[p].p50).Add(r.parts_ms[p].p95);
    }
    const Interval no{NAN, NAN, NAN};
    const AgainstFull none{0, no, NAN, {}, {no, no, no, no, no, no, NAN}};
    const AgainstFull& f = r.against_full ? *r.against_full : none;
    line.Add(f.pairs).Add(f.ratios.kv_bytes.value).Add(f.ratios.attending_bytes.value);
    line.Add(f.ratios.flops.value).Add(f.ratios.decoder_last10.value);
    line.Add(f.ratios.latency_last10.value).Add(f.ratios.latency.value);
    out += line.Add(f.success_points).Add(f.mcnemar_p).End();
  }
  return out;
}

}  // namespace kvla
