// SPDX-License-Identifier: Apache-2.0
#include "harness/eval/cue_ranges.h"

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "tasks/task_list.h"

namespace kvla {
namespace {

using nlohmann::json;

constexpr uint64_t kSchedules = 400;

// Widens `range` ([low, high], null at first) to hold `seconds`; below 0 there is nothing to hold.
void Hold(double seconds, json* range) {
  if (seconds < 0) return;
  if (range->is_null()) *range = {seconds, seconds};
  (*range)[0] = std::min(seconds, (*range)[0].get<double>());
  (*range)[1] = std::max(seconds, (*range)[1].get<double>());
}

}  // namespace

json CueRanges(const RunPlan& plan) {
  std::set<std::pair<std::string, std::string>> cells;
  for (const EpisodeJob& job : plan.jobs) cells.insert({job.task, job.delay});
  json ranges = json::object();
  for (const auto& [name, delay] : cells) {
    const Result<std::unique_ptr<Task>> task = MakeTask(name, plan.asset_root, plan.config.suite);
    if (!task.ok()) continue;  // PlanRun() made it
    json onset, wait;
    for (uint64_t i = 0; i < kSchedules; ++i) {
      const Result<Scenario> scenario = (*task)->Draw({Split::kValidation, 0, name, delay, i});
      if (!scenario.ok()) break;
      Hold(scenario->OnsetSeconds(), &onset);
      Hold(scenario->WaitSeconds(), &wait);
    }
    if (!onset.is_null()) ranges[name][delay]["onset"] = onset;
    if (!wait.is_null()) ranges[name][delay]["wait"] = wait;
  }
  return ranges;
}

}  // namespace kvla
