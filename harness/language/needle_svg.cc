// SPDX-License-Identifier: Apache-2.0
// The heat map of a needle test.
#include <fmt/format.h>

#include <cmath>

#include "harness/language/needle.h"
#include "results/report/svg.h"

namespace kvla {
namespace {

constexpr double kLeft = 230, kTop = 64, kCellWidth = 72, kCellHeight = 26, kRight = 24;

// From white to a deep blue.
std::string Colour(double rate) {
  const auto mix = [rate](double from, double to) {
    return static_cast<int>(std::lround(from + rate * (to - from)));
  };
  return fmt::format("#{:02x}{:02x}{:02x}", mix(244, 20), mix(246, 78), mix(248, 140));
}

}  // namespace

std::string NeedleSvg(const NeedleConfig& config, std::span<const NeedleCell> cells) {
  const size_t columns = config.depths.size(), rows = cells.size() / columns;
  const double width = kLeft + kCellWidth * static_cast<double>(columns) + kRight;
  const double height = kTop + kCellHeight * static_cast<double>(rows) + kRight;
  std::string out = SvgBegin(width, height);
  out += SvgText(16, 24, "Facts found again (%), by where they stood in the prompt",
                 "font-size=\"15\"");
  for (size_t c = 0; c < columns; ++c) {
    out += SvgText(kLeft + kCellWidth * (static_cast<double>(c) + 0.5), kTop - 10,
                   fmt::format("{:g}", config.depths[c]), "text-anchor=\"middle\"");
  }
  for (size_t i = 0; i < cells.size(); ++i) {
    const NeedleCell& cell = cells[i];
    const double x = kLeft + kCellWidth * static_cast<double>(i % columns);
    const size_t row = i / columns;
    const double y = kTop + kCellHeight * static_cast<double>(row);
    const double rate = static_cast<double>(cell.found) / cell.trials;
    if (i % columns == 0) {
      out += SvgText(kLeft - 12, y + 17, fmt::format("{}, {} tokens", cell.arm, cell.length),
                     "text-anchor=\"end\"");
    }
    out += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{}\" height=\"{}\" fill=\"{}\" "
        "stroke=\"#ffffff\"/>\n",
        x, y, kCellWidth, kCellHeight, Colour(rate));
    out +=
        SvgText(x + kCellWidth / 2, y + 17, fmt::format("{:.0f}", 100 * rate),
                rate > 0.5 ? "text-anchor=\"middle\" fill=\"#ffffff\"" : "text-anchor=\"middle\"");
  }
  return out + "</svg>\n";
}

}  // namespace kvla
