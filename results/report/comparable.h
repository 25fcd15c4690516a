// SPDX-License-Identifier: Apache-2.0
// Whether measured times of runs may be compared: the one place that decides it.
#ifndef KVLA_RESULTS_REPORT_COMPARABLE_H_
#define KVLA_RESULTS_REPORT_COMPARABLE_H_

#include <span>
#include <string>

#include "results/store/run_store.h"

namespace kvla {

// What marks a ratio of times that are not comparable, in front of it.
inline constexpr char kNotComparableMark[] = "~";

// Why the latencies of these runs, or of the one run, are not comparable; empty: they are. They are
// where one worker, pinned to a core, measured all of them on one device, one CPU and one set of
// CPU kernels.
std::string WhyNotComparable(std::span<const RunMeta> runs);

}  // namespace kvla

#endif  // KVLA_RESULTS_REPORT_COMPARABLE_H_
