// SPDX-License-Identifier: Apache-2.0
// A run's table, as text and as JSON.
//
// Episodes that ended in error have their own column and enter no rate and no cost. Rates carry
// Wilson intervals, differences of success Tango's, other means percentile bootstrap intervals, all
// at 95%. Averages: see results/statistics/episode_costs.h for costs; success over cells is the
// mean of them.
#ifndef KVLA_RESULTS_REPORT_REPORT_H_
#define KVLA_RESULTS_REPORT_REPORT_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "results/report/clock_report.h"
#include "results/report/report_filter.h"
#include "results/report/suite_report.h"
#include "results/statistics/episode_costs.h"
#include "results/statistics/statistics.h"
#include "results/store/run_store.h"

namespace kvla {

// Over inferences of all episodes of a cell.
struct Percentiles {
  double p50 = 0, p95 = 0, p99 = 0, max = 0;
};

// An arm against the arm named `full`, on the episodes that both ended without error.
struct AgainstFull {
  int pairs = 0;
  Interval success_points;  // difference of success rates, in points (Tango)
  double mcnemar_p = 1;
  CostPairs costs;
  CostRatios ratios;  // of `costs`
};

// One stage of a task: how many episodes reached it, and when.
struct StageProgress {
  std::string name;
  bool decisive = false;
  Interval reached;  // of the episodes without error
  double p50_s = 0;  // simulated seconds until it, among those that reached it at a known step
  int known = 0;     // how many that are
};

// One arm on one task at one delay. Values are NaN where there is no data.
struct ReportRow {
  std::string arm, task, delay;
  int episodes = 0;  // errors included
  int errors = 0;
  Interval success;
  int decisive_reached = 0;
  Interval decisive;  // right, among the episodes that reached the decisive stage
  double chance = 0;  // of the decisive stage; 0 for a control task
  Interval motor;     // every motor stage reached
  Interval progress;
  std::vector<StageProgress> stages;
  TimeToSuccess time;                       // of the horizon of each episode
  double trace_bytes = 0;                   // in the file, mean of an episode
  Costs costs;                              // MeanCosts()
  Percentiles latency_ms;                   // of whole inferences
  Percentiles latency_ms_last10;            // of those of the last 10% of each episode
  Percentiles decoder_ms_last10;            // likewise: linear, attend, gate, compact
  std::vector<Percentiles> parts_ms;        // in the order of kLatencyPartNames
  std::optional<AgainstFull> against_full;  // none for `full` itself, and where it was not run
};

struct Report {
  RunMeta meta;
  std::vector<ReportRow> rows;        // by task, delay, then arm in the order of meta "arms"
  std::vector<SuiteRow> suite;        // over tasks, where there are several
  std::vector<ClockRow> clock;        // of arms whose world does not wait
  std::vector<EpisodeRow> episodes;   // sorted by id
  std::vector<std::string> warnings;  // each once, with the number of episodes that had it
  std::string why_not_comparable;     // WhyNotComparable() of the run
};

// BadInput: the filter names what the run does not have.
Result<Report> BuildReport(const RunStore& store, const ReportFilter& filter = {});

// Aligned plain text, at most 100 columns: success, over cells, latency, memory, work, against
// `full`.
std::string FormatTable(const Report& report);
// One line an episode.
std::string FormatEpisodes(const Report& report);

// One line an arm, task and delay; with `episodes` one line an episode instead. RFC 4180.
std::string ReportCsv(const Report& report, bool episodes);

// {"rows": [...], "details": [...], "warnings": [...], "latency": {...}, "suite": [...]}, with
// `episodes` also {"episodes": [...]}. NaN is null.
nlohmann::json ReportJson(const Report& report, bool episodes);

}  // namespace kvla

#endif  // KVLA_RESULTS_REPORT_REPORT_H_
