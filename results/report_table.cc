// The text form of a report.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "results/report.h"
#include "results/text_table.h"

namespace kvla {
namespace {

std::string KiB(double bytes) { return Fixed(bytes / 1024, 1); }

std::string MetaLine(const RunMeta& meta) {
  std::vector<std::string> parts;
  for (const char* key :
       {"version", "commit", "config_hash", "checkpoint_hash", "device", "cpu", "gl_renderer"}) {
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
  // Latencies of episodes that ran side by side are longer than they need be.
  const auto workers = meta.find("workers");
  if (workers != meta.end() && workers->second != "1") {
    out += fmt::format("Measured with {} workers: latencies are not comparable\n", workers->second);
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

}  // namespace

std::string FormatTable(const Report& report) {
  if (report.rows.empty()) return "no episodes yet\n";
  TextTable success("Success (%, 95% intervals)", {"arm", "n", "errors", "success", "reached",
                                                   "decisive right", "motor stages", "progress"});
  TextTable cost("Cost (whole inference and decoder in ms; KV in KiB; FLOPs in millions)",
                 {"arm", "p50", "p95", "p99", "max", "decoder last 10%", "KV mean", "KV peak",
                  "tokens at end", "MFLOP mean", "MFLOP last"});
  std::vector<std::string> part_header = {"arm"};
  for (const char* name : kLatencyPartNames) part_header.emplace_back(name);
  TextTable parts("Latency by part (ms, p50 / p95)", part_header);
  TextTable against("Against full (ratios; success on the same episodes)",
                    {"arm", "pairs", "KV bytes", "FLOPs", "decoder last 10%",
                     "success difference, points", "McNemar p"});
  for (const ReportRow& r : report.rows) {
    const std::string arm = Shorten(r.arm, kMaxName);
    const std::string cell = r.task + (r.delay.empty() ? "" : ", " + r.delay);
    const std::string chance =
        r.chance > 0 ? fmt::format(" (decisive stage by chance: {:.1f})", 100 * r.chance) : "";
    const int ended = r.episodes - r.errors;
    success.Add(cell + chance,
                {arm, std::to_string(r.episodes), std::to_string(r.errors), Percent(r.success),
                 ended > 0 ? Fixed(100.0 * r.decisive_reached / ended, 1) : "-",
                 Percent(r.decisive), Percent(r.motor), Percent(r.progress)});
    const Percentiles& l = r.latency_ms;
    cost.Add(cell, {arm, Short(l.p50), Short(l.p95), Short(l.p99), Short(l.max),
                    Short(r.decoder_ms_last10_p50), KiB(r.kv_bytes_mean), KiB(r.kv_bytes_peak),
                    Fixed(r.cached_tokens_last, 0), Short(r.flops_mean / 1e6),
                    Short(r.flops_last / 1e6)});
    std::vector<std::string> part_cells = {arm};
    for (const Percentiles& p : r.parts_ms) {
      part_cells.push_back(Short(p.p50) + " / " + Short(p.p95));
    }
    parts.Add(cell, std::move(part_cells));
    if (r.against_full) {
      const AgainstFull& f = *r.against_full;
      const Interval& d = f.success_points;
      against.Add(
          cell,
          {arm, std::to_string(f.pairs), Fixed(f.kv_bytes_ratio, 3), Fixed(f.flops_ratio, 3),
           Fixed(f.decoder_ratio, 3),
           f.pairs > 0 ? fmt::format("{:+.1f} [{:+.1f}, {:+.1f}]", d.value, d.low, d.high) : "-",
           PValue(f.mcnemar_p)});
    }
  }
  std::string out = MetaLine(report.meta) + success.Format() + "\n";
  if (!report.suite.empty()) out += FormatSuiteTable(report.suite) + "\n";
  out += cost.Format() + "\n" + parts.Format();
  if (!against.empty()) out += "\n" + against.Format();
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
    out += PrintableLine(fmt::format("{}: {}, progress {:.2f}, {} steps, state {}{}",
                                     ToString(row.id), row.outcome, row.progress, row.steps,
                                     row.state_hash, row.error.empty() ? "" : ": " + row.error)) +
           "\n";
  }
  return out;
}

}  // namespace kvla
