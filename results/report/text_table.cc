// SPDX-License-Identifier: Apache-2.0
#include "results/report/text_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "base/text.h"

namespace kvla {
namespace {

std::string Line(const std::vector<std::string>& cells, const std::vector<size_t>& widths) {
  std::string line = fmt::format("  {:<{}}", cells[0], widths[0]);
  for (size_t i = 1; i < cells.size(); ++i) line += fmt::format("  {:>{}}", cells[i], widths[i]);
  return line + "\n";
}

std::string WithBounds(const Interval& i, const char* format) {
  if (!std::isfinite(i.value)) return "-";
  const auto text = [&](double value) { return fmt::format(fmt::runtime(format), value); };
  if (i.no_spread()) return text(i.value) + " (no spread)";
  return fmt::format("{} [{}, {}]", text(i.value), text(i.low), text(i.high));
}

}  // namespace

std::string Shorten(const std::string& text, size_t width) {
  const std::string line = PrintableLine(text);
  return line.size() <= width ? line : std::string(CutText(line, width - 2)) + "..";
}

std::string Fixed(double value, int digits) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "-";
}

std::string Short(double value) {
  if (!std::isfinite(value)) return "-";
  const double size = std::fabs(value);
  return Fixed(value, size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

std::string Percent(const Interval& i) {
  return WithBounds({100 * i.value, 100 * i.low, 100 * i.high}, "{:.1f}");
}

std::string Signed(const Interval& i) { return WithBounds(i, "{:+.1f}"); }

std::string Ratio(const Interval& i) { return WithBounds(i, "{:.3f}"); }

std::string KiB(double bytes) { return Fixed(bytes / 1024, 1); }

std::string PValue(double p) {
  if (!std::isfinite(p)) return "-";
  return p < 0.0001 ? "<0.0001" : fmt::format("{:.4f}", p);
}

std::string Wrap(const std::string& text, const std::string& indent) {
  if (text.size() <= kMaxTableWidth) return text;
  std::string out, line(text.find_first_not_of(' '), ' ');
  bool begun = false;  // the line has a word
  std::istringstream words(text);
  for (std::string word; words >> word; begun = true) {
    if (begun && line.size() + 1 + word.size() > kMaxTableWidth) {
      out += line + "\n";
      line = indent + word;
    } else {
      line += (begun ? " " : "") + word;
    }
  }
  return out + line;
}

std::string TextTable::Format() const {
  std::vector<size_t> widths;
  for (const std::string& cell : header_) widths.push_back(cell.size());
  for (const auto& [group, cells] : rows_) {
    for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], cells[i].size());
  }
  const std::string head = Line(header_, widths);
  std::string out = Wrap(title_, "    ") + "\n" + head + std::string(head.size() - 1, '-') + "\n";
  const std::string* last = nullptr;
  for (const auto& [group, cells] : rows_) {
    if (!group.empty() && (last == nullptr || *last != group)) {
      out += Shorten(group, kMaxTableWidth) + "\n";
    }
    out += Line(cells, widths);
    last = &group;
  }
  return out;
}

}  // namespace kvla
