// SPDX-License-Identifier: Apache-2.0
// The heat map of a needle test.
#include <fmt/format.h>

#include "harness/language/needle.h"
#include "results/report/heat_map.h"

namespace kvla {

std::string NeedleSvg(const NeedleConfig& config, std::span<const NeedleCell> cells) {
  HeatMap map{.title = "Facts found again (%), by where they stood in the prompt",
              .columns = {},
              .rows = {}};
  for (const double depth : config.depths) map.columns.push_back(fmt::format("{:g}", depth));
  for (size_t i = 0; i < cells.size(); ++i) {
    const NeedleCell& cell = cells[i];
    if (i % config.depths.size() == 0) {
      map.rows.push_back({fmt::format("{}, {} tokens", cell.arm, cell.length), {}});
    }
    map.rows.back().rates.push_back(static_cast<double>(cell.found) / cell.trials);
  }
  return HeatMapSvg(map);
}

}  // namespace kvla
