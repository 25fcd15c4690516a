// SPDX-License-Identifier: Apache-2.0
// Intervals that stay valid however often one looks, and rules for stopping a run early by them.
#ifndef KVLA_RESULTS_STATISTICS_STOP_RULE_H_
#define KVLA_RESULTS_STATISTICS_STOP_RULE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/config_fields.h"
#include "base/status.h"
#include "results/statistics/paired.h"
#include "results/statistics/statistics.h"
#include "results/store/run_store.h"

namespace kvla {

// Confidence sequences. With probability 1 - alpha the truth is in the interval at every n at once,
// so that one may look after each episode and stop when one likes. Both invert a mixture
// martingale: Robbins' beta mixture under Jeffreys' prior for a rate, and a Dirichlet mixture over
// (a alone, b alone, neither or both), profiled over what the difference leaves open, for the
// difference. They depend on the counts alone, not on the order.
Interval RateSequence(int64_t successes, int64_t n, double alpha = 0.05);
Interval DifferenceSequence(const PairCounts& pairs, double alpha = 0.05);

// When a run may end before its last planned episode.
struct StopRule {
  std::string rule = "never";
  std::string arm;
  std::string against = "full";
  double points = 5;
  double alpha = 0.05;
  int min_episodes = 10;

  template <class V>
  void Fields(V& v) {
    v("rule", rule, OneOf{"never", "rate_within", "difference", "non_inferior"},
      "rate_within: each rate is known to +-points; "
      "difference: each arm differs from `against`, or "
      "is within points of it; non_inferior: it is or is not worse by points or more");
    v("arm", arm, "the arm it is about; empty: every arm");
    v("against", against, "the arm to compare with");
    v("points", points, Range{0.1, 100}, "precision, equivalence bound or margin, in points");
    v("alpha", alpha, Range{1e-6, 0.5}, "chance of a wrong statement in the whole run");
    v("min_episodes", min_episodes, Range{1, 100000}, "episodes of each cell before any stop");
  }
};

// BadInput: an arm that is not there, or nothing to compare.
Status CheckStopRule(const StopRule& rule, const std::vector<std::string>& arms);

struct StopDecision {
  bool stop = false;
  int episodes = 0;  // of each cell, from the first seed on, that the decision rests on
  // What is known by then, one line a statement; without a stop, of the statements still open.
  std::vector<std::string> statements;
};

// What a stop is decided on: the cells (task, delay), arms and seeds of the whole plan.
struct StopPlan {
  std::vector<std::string> arms;
  std::vector<std::pair<std::string, std::string>> cells;  // task, delay
  int64_t first_episode = 0;
  int episodes = 0;
};

// The decision after `rows`. It rests on prefixes: the seeds in order, as far as every arm of every
// cell has ended (errors count as ended, and enter no rate), so that neither the order in which
// episodes ended nor the number of workers shows. Each statement (arm x cell) is made at
// alpha / statements; once made it stands. Stop when all are made: episodes with a later seed are
// not of the run. REQUIRES: CheckStopRule() was ok.
StopDecision DecideStop(const StopRule& rule, const StopPlan& plan,
                        const std::vector<EpisodeRow>& rows);

}  // namespace kvla

#endif  // KVLA_RESULTS_STATISTICS_STOP_RULE_H_
