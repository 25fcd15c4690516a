// SPDX-License-Identifier: Apache-2.0
// Intervals and tests. Pure functions; a NaN value says that there was no data.
#ifndef KVLA_RESULTS_STATISTICS_STATISTICS_H_
#define KVLA_RESULTS_STATISTICS_STATISTICS_H_

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "base/rng.h"

namespace kvla {

// Both bounds are NaN beside a value where the sample has no spread to tell an interval from, so
// that no interval ever has no width.
struct Interval {
  double value = 0, low = 0, high = 0;

  bool no_spread() const { return std::isfinite(value) && std::isnan(low); }
};

// The quantile of the standard normal distribution; 0 < p < 1.
double NormalQuantile(double p);

// Wilson's score interval of a rate. n == 0: value is NaN, the interval [0, 1].
Interval WilsonInterval(int64_t successes, int64_t n, double confidence = 0.95);

// One part of a rate that is pooled over parts, such as a task at a delay.
struct Stratum {
  int64_t successes = 0, n = 0;
  double weight = 1;  // relative to the others
};

// The weighted mean of the strata's rates, so that no stratum counts for more because more of it
// was run. Interval: the strata's Wilson bounds, squared and added (MOVER: Zou and Donner 2008). A
// stratum without data makes it NaN: it cannot be left out silently.
Interval StratifiedRate(std::span<const Stratum> strata, double confidence = 0.95);

// Linear interpolation between order statistics (R's type 7, numpy's default), 0 <= p <= 1.
// `sorted` ascends; empty: NaN.
double QuantileSorted(std::span<const double> sorted, double p);
double Quantile(std::span<const double> values, double p);  // copies and sorts

double Mean(std::span<const double> values);  // empty: NaN

// The mean with a percentile bootstrap interval, by resamples drawn from `rng`.
Interval BootstrapMean(std::span<const double> values, Rng rng, int resamples = 2000,
                       double confidence = 0.95);

// The exact two-sided McNemar test of paired outcomes: `only_a` pairs that a won alone, `only_b`
// that b won alone. 1 if there are none.
double McNemarExact(int64_t only_a, int64_t only_b);

// mean(a) - mean(b) over pairs, with a percentile bootstrap interval that resamples pairs.
// REQUIRES: a.size() == b.size().
Interval PairedBootstrap(std::span<const double> a, std::span<const double> b, Rng rng,
                         int resamples = 2000, double confidence = 0.95);

// The mean over strata of the mean of each, equal weights; the interval resamples within strata.
// For differences over pairs, or any values. An empty stratum makes it NaN.
Interval StratifiedBootstrap(std::span<const std::vector<double>> strata, Rng rng,
                             int resamples = 2000, double confidence = 0.95);

// One value of each of two arms an episode. a.size() == b.size().
struct PairedSample {
  std::vector<double> a, b;
};

// A ratio of sums: the sum over strata of mean(a) / the sum of mean(b), so that no stratum counts
// for more because more of it was run; the interval resamples pairs within strata. NaN without
// pairs in a stratum, with a NaN among them, or where b is 0 throughout.
Interval BootstrapRatio(std::span<const PairedSample> strata, Rng rng, int resamples = 2000,
                        double confidence = 0.95);

// How fast successes came. A failure counts as the whole horizon in `restricted_s`.
struct TimeToSuccess {
  int successes = 0;
  double p50_s = 0, p90_s = 0;  // among the successes
  Interval restricted_s;        // mean over all, bootstrap
};
struct TimedOutcome {
  bool success = false;
  double seconds = 0, horizon_s = 0;
};
TimeToSuccess TimeToSuccessOf(std::span<const TimedOutcome> outcomes, Rng rng);

}  // namespace kvla

#endif  // KVLA_RESULTS_STATISTICS_STATISTICS_H_
