// SPDX-License-Identifier: Apache-2.0
// Arms side by side on the same episodes, within a run or over several.
#ifndef KVLA_RESULTS_REPORT_COMPARE_H_
#define KVLA_RESULTS_REPORT_COMPARE_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/status.h"
#include "results/report/report_filter.h"
#include "results/statistics/episode_costs.h"
#include "results/statistics/paired.h"
#include "results/statistics/statistics.h"
#include "results/store/run_store.h"

namespace kvla {

struct CompareOptions {
  std::vector<std::string> arms;  // empty: all
  std::string against;            // empty: "full" if it is there, else the first
  bool intersect = false;         // arms that were run on other episodes: take what all have
  double margin_points = 3;       // of non-inferiority
  ReportFilter filter;            // episodes of each run that count; empty: all
  int planned_pairs = 0;          // 0: as many as there are; what that many could find
};

// Where two episodes of the same start part, in control steps; -1: never, or not traced.
struct Divergence {
  int cache_step = -1;   // of the first inference with another cache: decisions, tokens or bytes
  int action_step = -1;  // of the first other action
};
Divergence DivergenceOf(const EpisodeRecord& a, const EpisodeRecord& b);

// Times of the inferences that are the last 10% of an episode, ms.
struct Tail {
  std::vector<double> latency, decoder;  // whole inferences; the decoder in them
};

// The same episode under an arm (a) and the reference (b); without errors.
struct EpisodePair {
  std::string task, delay;
  int64_t seed = 0;
  bool a_success = false, b_success = false;
  double a_progress = 0, b_progress = 0;
  double a_seconds = 0, b_seconds = 0;  // of simulated time until the end
  double chance = 0;                    // of the decisive stage; 0: of a control
  Costs a_costs, b_costs;
  Tail a_tail, b_tail;
  double a_horizon_s = 0, b_horizon_s = 0;
  Divergence divergence;
  std::string a_video, b_video;  // absolute; empty without one
};

// An arm against the reference on one task at one delay, or pooled (task empty) over the memory
// cells, where chance alone passes the decisive stage at times, or over the controls, which no
// cache method can lose. Pooled success is the mean of the cells, pooled costs are ratios of sums.
struct ComparedCell {
  std::string task, delay;
  bool memory = false;
  int cells = 1;     // that it covers
  int left_out = 0;  // pairs in which either ended in error, or was touched by a person
  PairCounts pairs;
  Interval a_success, b_success;     // Wilson; pooled: equal weight for each cell (MOVER)
  Interval difference;               // of the rates: Tango; pooled: over all pairs
  Interval difference_bootstrap;     // pooled: resampled within cells, equal weight for each
  Interval anytime;                  // of the difference; holds whenever one stopped
  double mcnemar_p = 1, holm_p = 1;  // Holm: over all arms and cells of the comparison
  NonInferiority non_inferiority;
  Interval progress;  // difference of means, bootstrap; pooled: as success
  CostRatios ratios;
  double latency_p95_ratio = 0, decoder_p95_ratio = 0;  // of the last 10%, over all inferences
  TimeToSuccess a_time, b_time;
  double detectable = 0;    // difference that these pairs, or the planned ones, find at 80% power
  double power_margin = 0;  // chance that they show non-inferiority if there is no difference
};

struct ComparedArm {
  std::string arm, against;
  std::vector<ComparedCell> cells;  // by task and delay; last those pooled, of a kind with several
  std::vector<EpisodePair> episodes;
};

struct Comparison {
  double margin_points = 0;
  int planned_pairs = 0;
  std::vector<std::string> notes;  // what a reader must know: what was left out, how runs differ
  std::string why_not_comparable;  // WhyNotComparable() of the runs
  std::vector<ComparedArm> arms;
};

// Arms of the same name in several runs are called "arm@folder". BadInput: an arm that is not
// there, nothing to compare, other seeds or splits, or arms not run on the same episodes.
Result<Comparison> CompareRuns(const std::vector<RunStore>& runs, const CompareOptions& options);

// At most 100 columns; `all`: every episode instead of those that one arm alone won.
std::string FormatComparison(const Comparison& comparison, bool all);
nlohmann::json ComparisonJson(const Comparison& comparison);

}  // namespace kvla

#endif  // KVLA_RESULTS_REPORT_COMPARE_H_
