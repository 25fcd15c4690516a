// SPDX-License-Identifier: Apache-2.0
// What latency cost the arms of a run whose world did not wait for the policy.
#ifndef KVLA_RESULTS_REPORT_CLOCK_REPORT_H_
#define KVLA_RESULTS_REPORT_CLOCK_REPORT_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/status.h"
#include "results/statistics/paired.h"
#include "results/statistics/statistics.h"
#include "results/store/run_store.h"

namespace kvla {

// One arm on one task at one delay. Values are NaN where there is no data.
struct ClockRow {
  std::string arm, task, delay;
  int episodes = 0;         // without errors
  double think_ms_p50 = 0;  // of an inference, as the world saw it
  double think_ms_p95 = 0;
  double stale_steps = 0;       // an episode: control steps made without a fresh action
  double stale_share = 0;       // of all control steps
  double missed_deadlines = 0;  // share of inferences that took longer than a control period
  double control_rate_hz = 0;   // control steps in a second of thinking
  Interval success;             // Wilson
  std::string twin;             // the arm that differs in its frozen clock alone; "" without one
  int pairs = 0;                // episodes that both ended without error
  Interval lost_points;         // success of the twin minus that of the arm, on the same episodes
  // The full cache under the same clock; "" for that arm itself and without one.
  std::string full;
  PairCounts against_full;  // a: this arm
  Interval full_success, gain_points;
  double mcnemar_p = 1;
};

// Of the arms with a clock that does not wait (meta "clocked_arms"; "frozen_twins" of older runs),
// by name; empty when there is none.
Result<std::vector<ClockRow>> BuildClockRows(const RunStore& store, const RunMeta& meta,
                                             const std::vector<EpisodeRow>& episodes);

// A section of the report's text; empty without rows.
std::string FormatClockTable(const std::vector<ClockRow>& rows);

// A list of objects; NaN is null.
nlohmann::json ClockJson(const std::vector<ClockRow>& rows);

}  // namespace kvla

#endif  // KVLA_RESULTS_REPORT_CLOCK_REPORT_H_
