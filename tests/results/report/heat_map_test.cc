// SPDX-License-Identifier: Apache-2.0
#include "results/report/heat_map.h"

#include <gtest/gtest.h>

#include <cmath>

namespace kvla {
namespace {

TEST(HeatMap, HasACellForEachRateAndSaysWhereThereIsNone) {
  const std::string svg = HeatMapSvg({.title = "a < b",
                                      .columns = {"first", "last"},
                                      .rows = {{"full", {1, 0.25}}, {"x", {NAN, 0}}}});
  size_t cells = 0;
  for (size_t at = svg.find("<rect x="); at != std::string::npos;
       at = svg.find("<rect x=", at + 1)) {
    ++cells;
  }
  EXPECT_EQ(cells, 4u);
  for (const char* part : {"a &lt; b", ">first<", ">full<", ">100<", ">25<", ">0<", ">-<",
                           "#144e8c", "#f4f6f8", "#c9ced4"}) {
    EXPECT_NE(svg.find(part), std::string::npos) << part << " is not in\n" << svg;
  }
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
}

}  // namespace
}  // namespace kvla
