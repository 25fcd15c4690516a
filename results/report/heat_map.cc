// SPDX-License-Identifier: Apache-2.0
#include "results/report/heat_map.h"

#include <fmt/format.h>

#include <cmath>

#include "results/report/svg.h"

namespace kvla {
namespace {

constexpr double kLeft = 230, kTop = 64, kCellWidth = 72, kCellHeight = 26, kRight = 24;
constexpr const char* kNoData = "#c9ced4";

// From white to a deep blue.
std::string Colour(double rate) {
  if (std::isnan(rate)) return kNoData;
  const auto mix = [rate](double from, double to) {
    return static_cast<int>(std::lround(from + rate * (to - from)));
  };
  return fmt::format("#{:02x}{:02x}{:02x}", mix(244, 20), mix(246, 78), mix(248, 140));
}

std::string Cell(double x, double y, double rate) {
  return fmt::format(
             "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{}\" height=\"{}\" fill=\"{}\" "
             "stroke=\"#ffffff\"/>\n",
             x, y, kCellWidth, kCellHeight, Colour(rate)) +
         SvgText(x + kCellWidth / 2, y + 17,
                 std::isnan(rate) ? "-" : fmt::format("{:.0f}", 100 * rate),
                 rate > 0.5 ? "text-anchor=\"middle\" fill=\"#ffffff\"" : "text-anchor=\"middle\"");
}

}  // namespace

std::string HeatMapSvg(const HeatMap& map) {
  const double width = kLeft + kCellWidth * static_cast<double>(map.columns.size()) + kRight;
  const double height = kTop + kCellHeight * static_cast<double>(map.rows.size()) + kRight;
  std::string out = SvgBegin(width, height);
  out += SvgText(16, 24, map.title, "font-size=\"15\"");
  const auto column = [](size_t c) { return kLeft + kCellWidth * static_cast<double>(c); };
  for (size_t c = 0; c < map.columns.size(); ++c) {
    out += SvgText(column(c) + kCellWidth / 2, kTop - 10, map.columns[c], "text-anchor=\"middle\"");
  }
  for (size_t r = 0; r < map.rows.size(); ++r) {
    const double y = kTop + kCellHeight * static_cast<double>(r);
    out += SvgText(kLeft - 12, y + 17, map.rows[r].label, "text-anchor=\"end\"");
    for (size_t c = 0; c < map.rows[r].rates.size(); ++c) {
      out += Cell(column(c), y, map.rows[r].rates[c]);
    }
  }
  return out + "</svg>\n";
}

}  // namespace kvla
