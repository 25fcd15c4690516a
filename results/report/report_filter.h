// SPDX-License-Identifier: Apache-2.0
// Which episodes of a run a report or a comparison is about.
#ifndef KVLA_RESULTS_REPORT_REPORT_FILTER_H_
#define KVLA_RESULTS_REPORT_REPORT_FILTER_H_

#include <string>
#include <vector>

#include "base/status.h"
#include "results/store/run_store.h"

namespace kvla {

// An empty list stands for all.
struct ReportFilter {
  std::vector<std::string> tasks, arms, delays;

  bool empty() const { return tasks.empty() && arms.empty() && delays.empty(); }
};

// Takes out the episodes that are not asked for. BadInput: a name that none of them has (with the
// nearest), or nothing is left.
Status ApplyFilter(const ReportFilter& filter, std::vector<EpisodeRow>* episodes);

}  // namespace kvla

#endif  // KVLA_RESULTS_REPORT_REPORT_FILTER_H_
