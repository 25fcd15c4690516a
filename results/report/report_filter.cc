// SPDX-License-Identifier: Apache-2.0
#include "results/report/report_filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"

namespace kvla {
namespace {

using Names = std::vector<std::string>;

bool Wanted(const Names& names, const std::string& name) {
  return names.empty() || std::ranges::find(names, name) != names.end();
}

// A name may be misspelt as well as absent: both are refused.
Status CheckNames(const char* what, const Names& names, const std::vector<EpisodeRow>& episodes,
                  std::string EpisodeId::*part) {
  std::set<std::string> present;
  for (const EpisodeRow& row : episodes) present.insert(row.id.*part);
  const Names known(present.begin(), present.end());
  for (const std::string& name : names) {
    if (present.contains(name)) continue;
    return BadInput(fmt::format("--{} {}: the run has no episode of it, only of {}{}", what, name,
                                Join(known, ", "), DidYouMean(name, known)));
  }
  return {};
}

}  // namespace

Status ApplyFilter(const ReportFilter& filter, std::vector<EpisodeRow>* episodes) {
  if (filter.empty()) return {};
  if (episodes->empty()) return BadInput("the run has no episodes yet to choose from");
  if (Status s = CheckNames("task", filter.tasks, *episodes, &EpisodeId::task); !s.ok()) return s;
  if (Status s = CheckNames("arm", filter.arms, *episodes, &EpisodeId::arm); !s.ok()) return s;
  if (Status s = CheckNames("delay", filter.delays, *episodes, &EpisodeId::delay); !s.ok()) {
    return s;
  }
  std::erase_if(*episodes, [&](const EpisodeRow& row) {
    return !Wanted(filter.tasks, row.id.task) || !Wanted(filter.arms, row.id.arm) ||
           !Wanted(filter.delays, row.id.delay);
  });
  if (!episodes->empty()) return {};
  return BadInput("the run has no episode of this task, arm and delay together");
}

}  // namespace kvla
