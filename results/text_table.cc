#include "results/text_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace kvla {
namespace {

std::string Line(const std::vector<std::string>& cells, const std::vector<size_t>& widths) {
  std::string line = fmt::format("  {:<{}}", cells[0], widths[0]);
  for (size_t i = 1; i < cells.size(); ++i) line += fmt::format("  {:>{}}", cells[i], widths[i]);
  return line + "\n";
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
  if (!std::isfinite(i.value)) return "-";
  return fmt::format("{:.1f} [{:.1f}, {:.1f}]", 100 * i.value, 100 * i.low, 100 * i.high);
}

std::string Signed(const Interval& i) {
  if (!std::isfinite(i.value)) return "-";
  return fmt::format("{:+.1f} [{:+.1f}, {:+.1f}]", i.value, i.low, i.high);
}

std::string PValue(double p) {
  if (!std::isfinite(p)) return "-";
  return p < 0.0001 ? "<0.0001" : fmt::format("{:.4f}", p);
}

std::string TextTable::Format() const {
  std::vector<size_t> widths;
  for (const std::string& cell : header_) widths.push_back(cell.size());
  for (const auto& [group, cells] : rows_) {
    for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], cells[i].size());
  }
  const std::string head = Line(header_, widths);
  std::string out = title_ + "\n" + head + std::string(head.size() - 1, '-') + "\n";
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
