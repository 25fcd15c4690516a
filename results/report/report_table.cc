// SPDX-License-Identifier: Apache-2.0
// The text form of a report.
#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "base/text.h"
#include "results/report/comparable.h"
#include "results/report/no_success.h"
#include "results/report/report.h"
#include "results/report/text_table.h"

namespace kvla {
namespace {

std::string MetaLine(const Report& report) {
  const RunMeta& meta = report.meta;
  std::vector<std::string> parts;
  for (const char* key : {"version", "commit", "config_hash", "checkpoint_hash", "device", "cpu",
                          "cpu_kernels", "gl_renderer"}) {
    const auto found = meta.find(key);
    if (found != meta.end() && !found->second.empty()) {
      parts.push_back(fmt::format("{} {}", key, Shorten(found->second, 60)));
    }
  }
  std::string out, line;
  for (const std::string& part : parts) {
    if (!line.empty() && line.size() + part.size() + 2 > kMaxTableWidth) {
      out += line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : "; ") + part;
  }
  if (!line.empty()) out += line + "\n";
  if (!report.why_not_comparable.empty()) {
    out += Wrap("Latencies are not comparable (ratios of them have a " +
                    std::string(kNotComparableMark) + "): " + report.why_not_comparable,
                "  ") +
           "\n";
  }
  return out.empty() ? "" : out + "\n";
}

// What a 'stop_when' rule decided.
std::string StoppedLines(const RunMeta& meta) {
  const auto found = meta.find("stopped");
  if (found == meta.end()) return "";
  const auto stopped = nlohmann::json::parse(found->second, nullptr, false);
  if (!stopped.is_object() || !stopped.contains("statements")) return "";
  std::string out = "\nStopped early, by intervals that hold whenever one stops\n";
  for (const auto& statement : stopped["statements"]) {
    if (statement.is_string()) out += "  " + statement.get<std::string>() + "\n";
  }
  return out;
}

// "0.238", or "~0.238" where the times behind it are not comparable.
std::string TimeRatio(const Report& report, const Interval& ratio) {
  const bool mark = !report.why_not_comparable.empty() && std::isfinite(ratio.value);
  return fmt::format("{}{}", mark ? kNotComparableMark : "", Fixed(ratio.value, 3));
}

std::vector<std::string> PartHeader() {
  std::vector<std::string> header = {"arm"};
  header.insert(header.end(), std::begin(kLatencyPartNames), std::end(kLatencyPartNames));
  return header;
}

// One row an arm in each.
struct Tables {
  TextTable success{"Success (%, 95% intervals; reached: the decisive stage)",
                    {"arm", "n", "errors", "success", "reached", "decisive right"}};
  TextTable progress{"How far it gets (%, 95% intervals; seconds to success: median)",
                     {"arm", "motor stages", "progress", "seconds"}};
  TextTable latency{
      "Latency of an inference (ms; last: the last 10% "
      "of each episode, dec: the decoder there)",
      {"arm", "mean", "p50", "p95", "p99", "max", "last mean", "last p95", "dec mean", "dec p95"}};
  TextTable parts_mean{"Latency by part (ms, mean)", PartHeader()};
  TextTable parts_p95{"Latency by part (ms, p95)", PartHeader()};
  TextTable memory{
      "Memory (KiB; live keys and values after an inference "
      "and while attending, the others: largest)",
      {"arm", "live mean", "peak", "attending", "peak", "committed", "transient", "method"}};
  TextTable work{"Work (an inference's millions of FLOPs; tokens cached at the end)",
                 {"arm", "MFLOP mean", "MFLOP last", "tokens at end"}};
  TextTable against{
      "Against full on the same episodes: "
      "success (difference in points, Tango's 95% interval)",
      {"arm", "pairs", "difference", "McNemar p"}};
  TextTable ratios{
      "Against full on the same episodes: costs (ratios "
      "of sums; last: the last 10% of each episode)",
      {"arm", "live KV", "attending KV", "FLOPs", "decoder, last", "inference, last", "inference"}};
};

void AddRow(const Report& report, const ReportRow& r, Tables* t) {
  const std::string arm = Shorten(r.arm, kMaxName);
  const std::string cell = r.task + (r.delay.empty() ? "" : ", " + r.delay);
  const std::string chance =
      r.chance > 0 ? fmt::format(" (decisive stage by chance: {:.1f})", 100 * r.chance) : "";
  const int ended = r.episodes - r.errors;
  t->success.Add(
      cell + chance,
      {arm, std::to_string(r.episodes), std::to_string(r.errors), Percent(r.success),
       ended > 0 ? Fixed(100.0 * r.decisive_reached / ended, 1) : "-", Percent(r.decisive)});
  t->progress.Add(cell, {arm, Percent(r.motor), Percent(r.progress), Fixed(r.time.p50_s, 1)});
  const Costs& c = r.costs;
  const Percentiles& l = r.latency_ms;
  t->latency.Add(cell, {arm, Short(c.latency_ms), Short(l.p50), Short(l.p95), Short(l.p99),
                        Short(l.max), Short(c.latency_last10_ms), Short(r.latency_ms_last10.p95),
                        Short(c.decoder_last10_ms), Short(r.decoder_ms_last10.p95)});
  std::vector<std::string> means = {arm}, p95s = {arm};
  for (size_t p = 0; p < r.parts_ms.size(); ++p) {
    means.push_back(Short(c.parts_ms[p]));
    p95s.push_back(Short(r.parts_ms[p].p95));
  }
  t->parts_mean.Add(cell, std::move(means));
  t->parts_p95.Add(cell, std::move(p95s));
  t->memory.Add(cell, {arm, KiB(c.kv_bytes), KiB(c.kv_bytes_peak), KiB(c.attending_bytes),
                       KiB(c.attending_peak), KiB(c.committed_peak), KiB(c.transient_peak),
                       KiB(c.method_bytes)});
  t->work.Add(cell,
              {arm, Short(c.flops / 1e6), Short(c.flops_last / 1e6), Fixed(c.tokens_last, 0)});
  if (!r.against_full) return;
  const AgainstFull& f = *r.against_full;
  t->against.Add(cell,
                 {arm, std::to_string(f.pairs), Signed(f.success_points), PValue(f.mcnemar_p)});
  t->ratios.Add(cell,
                {arm, Fixed(f.ratios.kv_bytes.value, 3), Fixed(f.ratios.attending_bytes.value, 3),
                 Fixed(f.ratios.flops.value, 3), TimeRatio(report, f.ratios.decoder_last10),
                 TimeRatio(report, f.ratios.latency_last10), TimeRatio(report, f.ratios.latency)});
}

// Where there is no success to say.
std::string EpisodesOf(const Report& report) {
  TextTable table(kNoSuccess, {"arm", "n", "errors"});
  for (const ReportRow& r : report.rows) {
    table.Add(r.task + (r.delay.empty() ? "" : ", " + r.delay),
              {Shorten(r.arm, kMaxName), std::to_string(r.episodes), std::to_string(r.errors)});
  }
  return table.Format();
}

}  // namespace

std::string FormatTable(const Report& report) {
  if (report.rows.empty()) return "no episodes yet\n";
  Tables tables;
  for (const ReportRow& row : report.rows) AddRow(report, row, &tables);
  std::string out = MetaLine(report);
  const bool random = HasRandomWeights(report.meta);
  if (random) {
    out += EpisodesOf(report);
  } else {
    out += tables.success.Format() + "\n" + tables.progress.Format();
  }
  if (!report.suite.empty() && !random) {
    out += "\n" + FormatSuiteTable(report.suite, report.why_not_comparable.empty());
  }
  for (const TextTable* table : {&tables.latency, &tables.parts_mean, &tables.parts_p95,
                                 &tables.memory, &tables.work, &tables.against, &tables.ratios}) {
    if (random && table == &tables.against) continue;
    if (!table->empty()) out += "\n" + table->Format();
  }
  if (!report.clock.empty()) out += "\n" + FormatClockTable(report.clock);
  double bytes = 0;
  for (const EpisodeRow& e : report.episodes) bytes += static_cast<double>(e.trace_bytes);
  out += fmt::format("\nTrace: {:.4f} megabytes an episode\n",
                     bytes / 1e6 / static_cast<double>(report.episodes.size()));
  out += StoppedLines(report.meta);
  if (!report.warnings.empty()) out += "\nWarnings\n  " + Join(report.warnings, "\n  ") + "\n";
  return Printable(out);
}

std::string FormatEpisodes(const Report& report) {
  std::string out;
  for (const EpisodeRow& row : report.episodes) {
    out += PrintableLine(fmt::format("{}: {}, progress {}, {} steps, state {}{}", ToString(row.id),
                                     row.outcome, Fixed(row.progress, 2), row.steps, row.state_hash,
                                     row.error.empty() ? "" : ": " + row.error)) +
           "\n";
  }
  return out;
}

}  // namespace kvla
