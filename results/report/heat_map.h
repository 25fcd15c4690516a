// SPDX-License-Identifier: Apache-2.0
// Rates over a grid, as an SVG file. No torch.
#ifndef KVLA_RESULTS_REPORT_HEAT_MAP_H_
#define KVLA_RESULTS_REPORT_HEAT_MAP_H_

#include <string>
#include <vector>

namespace kvla {

struct HeatMap {
  struct Row {
    std::string label;
    std::vector<double> rates;  // in [0, 1], one a column; NaN: no data
  };
  std::string title;
  std::vector<std::string> columns;
  std::vector<Row> rows;
};

// Each cell has its rate in percent; one without data is grey.
std::string HeatMapSvg(const HeatMap& map);

}  // namespace kvla

#endif  // KVLA_RESULTS_REPORT_HEAT_MAP_H_
