// SPDX-License-Identifier: Apache-2.0
// How a bench's report is printed: as a table, or as JSON.
#ifndef KVLA_APPS_BENCH_TABLE_H_
#define KVLA_APPS_BENCH_TABLE_H_

#include <string>
#include <vector>

#include "harness/bench/machine_limits.h"

namespace kvla {

// One column: which figure of a row, and how. A row that lacks it shows "-".
struct BenchColumn {
  const char* key;
  const char* head;
  int width;
  int decimals = 0;
  double scale = 1;
};

// The machine's limits, what the columns are (`legend`, lines), and the rows.
std::string BenchTable(const BenchReport& report, const std::vector<BenchColumn>& columns,
                       const std::string& legend);
std::string BenchJson(const BenchReport& report);

}  // namespace kvla

#endif  // KVLA_APPS_BENCH_TABLE_H_
