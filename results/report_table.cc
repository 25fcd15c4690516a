// The text form of a report.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "results/report.h"

namespace kvla {
namespace {

constexpr size_t kMaxName = 24;
constexpr size_t kMaxWidth = 140;

std::string Shorten(const std::string& text, size_t width) {
  return text.size() <= width ? text : text.substr(0, width - 2) + "..";
}

std::string Fixed(double value, int digits) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "-";
}

// Three significant digits, whatever the size.
std::string Short(double value) {
  if (!std::isfinite(value)) return "-";
  const double size = std::fabs(value);
  return Fixed(value, size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

std::string Percent(const Interval& i) {
  if (!std::isfinite(i.value)) return "-";
  return fmt::format("{:.1f} [{:.1f}, {:.1f}]", 100 * i.value, 100 * i.low, 100 * i.high);
}

std::string KiB(double bytes) { return Fixed(bytes / 1024, 1); }

// Rows of cells under a header, in groups with a heading each; the first column is left-aligned.
class TextTable {
 public:
  TextTable(std::string title, std::vector<std::string> header)
      : title_(std::move(title)), header_(std::move(header)) {}

  void Add(const std::string& group, std::vector<std::string> cells) {
    rows_.push_back({group, std::move(cells)});
  }
  bool empty() const { return rows_.empty(); }

  std::string Format() const {
    std::vector<size_t> widths;
    for (const std::string& cell : header_) widths.push_back(cell.size());
    for (const auto& [group, cells] : rows_) {
      for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], cells[i].size());
    }
    const std::string head = Line(header_, widths);
    std::string out = title_ + "\n" + head + std::string(head.size() - 1, '-') + "\n";
    const std::string* last = nullptr;
    for (const auto& [group, cells] : rows_) {
      if (last == nullptr || *last != group) out += Shorten(group, kMaxWidth) + "\n";
      out += Line(cells, widths);
      last = &group;
    }
    return out;
  }

 private:
  static std::string Line(const std::vector<std::string>& cells,
                          const std::vector<size_t>& widths) {
    std::string line = fmt::format("  {:<{}}", cells[0], widths[0]);
    for (size_t i = 1; i < cells.size(); ++i) {
      line += fmt::format("  {:>{}}", cells[i], widths[i]);
    }
    return line + "\n";
  }

  std::string title_;
  std::vector<std::string> header_;
  std::vector<std::pair<std::string, std::vector<std::string>>> rows_;
};

std::string PValue(double p) {
  if (!std::isfinite(p)) return "-";
  return p < 0.0001 ? "<0.0001" : fmt::format("{:.4f}", p);
}

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
    if (!line.empty() && line.size() + part.size() + 2 > kMaxWidth) {
      out += line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : "; ") + part;
  }
  return parts.empty() ? "" : out + line + "\n\n";
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
  std::string out =
      MetaLine(report.meta) + success.Format() + "\n" + cost.Format() + "\n" + parts.Format();
  if (!against.empty()) out += "\n" + against.Format();
  if (!report.warnings.empty()) out += "\nWarnings\n  " + Join(report.warnings, "\n  ") + "\n";
  return out;
}

}  // namespace kvla
