// SPDX-License-Identifier: Apache-2.0
// Two arms on the same episodes: the score interval of the difference, non-inferiority, power.
// Pure functions. A difference is rate(a) - rate(b), between -1 and 1.
#ifndef KVLA_RESULTS_STATISTICS_PAIRED_H_
#define KVLA_RESULTS_STATISTICS_PAIRED_H_

#include <cstdint>

#include "results/statistics/statistics.h"

namespace kvla {

// Outcomes of n pairs; those that are not counted here both arms won, or both lost.
struct PairCounts {
  int64_t n = 0;
  int64_t only_a = 0, only_b = 0;

  void Add(bool a_won, bool b_won) {
    ++n;
    only_a += a_won && !b_won ? 1 : 0;
    only_b += !a_won && b_won ? 1 : 0;
  }
};

// Tango's score statistic (1998) of the hypothesis that the difference is `difference`: about
// standard normal under it, and positive when a did better than that. 0 when n is 0.
double TangoZ(const PairCounts& pairs, double difference);

// The differences that the score test does not reject. Unlike a bootstrap it keeps its width when
// no pair is discordant. n == 0: value is NaN, the interval [-1, 1].
Interval TangoInterval(const PairCounts& pairs, double confidence = 0.95);

enum class Inferiority { kNonInferior, kInferior, kUndecided };
const char* InferiorityName(Inferiority verdict);  // "non-inferior", "inferior", "undecided"

struct NonInferiority {
  double margin = 0;    // as stated before the data were seen
  Interval difference;  // Tango, at 1 - 2 alpha
  double p = 1;         // one-sided, of "a is worse than b by the margin or more"
  Inferiority verdict = Inferiority::kUndecided;
};

// Is a worse than b by less than `margin`? kInferior: worse by more than it. `alpha` is one-sided.
NonInferiority TestNonInferiority(const PairCounts& pairs, double margin, double alpha = 0.025);

// The maximum-likelihood probability that b alone wins when the difference is `difference`.
double ConstrainedOnlyB(const PairCounts& pairs, double difference);

// Chance that n pairs give a significant exact McNemar test when a wins alone with probability
// `only_a` and b with `only_b`.
double McNemarPower(int n, double only_a, double only_b, double alpha = 0.05);

// Chance that n pairs show non-inferiority.
double NonInferiorityPower(int n, double only_a, double only_b, double margin,
                           double alpha = 0.025);

// The smallest difference that n pairs find with that power, when the arms differ in a share
// `discordant` of the episodes (or by the difference, if that is more). NaN: none.
double DetectableDifference(int n, double discordant, double power = 0.8, double alpha = 0.05);

}  // namespace kvla

#endif  // KVLA_RESULTS_STATISTICS_PAIRED_H_
