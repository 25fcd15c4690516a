// SPDX-License-Identifier: Apache-2.0
#include "results/statistics/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace kvla {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double NormalCdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

// The percentile interval of `resamples`. None where they are all the same: a bootstrap cannot tell
// "nothing varies" from "nothing was seen to vary".
Interval PercentileInterval(double value, std::vector<double>* resamples, double confidence) {
  std::sort(resamples->begin(), resamples->end());
  const Interval out{value, QuantileSorted(*resamples, (1 - confidence) / 2),
                     QuantileSorted(*resamples, (1 + confidence) / 2)};
  const double rounding = 1e-12 * std::max(1.0, std::fabs(value));
  return out.high - out.low > rounding ? out : Interval{value, kNan, kNan};
}

// The mean of as many draws with replacement.
double ResampledMean(std::span<const double> values, Rng* rng) {
  const auto n = static_cast<int>(values.size());
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += values[static_cast<size_t>(rng->UniformInt(n))];
  return sum / n;
}

Interval BootstrapInterval(std::span<const double> values, Rng rng, int resamples,
                           double confidence) {
  if (values.empty()) return {kNan, kNan, kNan};
  std::vector<double> means(static_cast<size_t>(resamples));
  for (double& mean : means) mean = ResampledMean(values, &rng);
  return PercentileInterval(Mean(values), &means, confidence);
}

}  // namespace

double NormalQuantile(double p) {
  // Bisection on the distribution function, in the lower tail, where erfc keeps its precision.
  if (p > 0.5) return -NormalQuantile(1 - p);
  double low = -40, high = 0;
  for (int i = 0; i < 200 && low < high; ++i) {
    const double middle = 0.5 * (low + high);
    if (middle == low || middle == high) break;
    (NormalCdf(middle) < p ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

Interval WilsonInterval(int64_t successes, int64_t n, double confidence) {
  if (n == 0) return {kNan, 0, 1};
  const double z = NormalQuantile(0.5 + confidence / 2);
  const auto count = static_cast<double>(n);
  const double rate = static_cast<double>(successes) / count;
  const double scale = 1 / (1 + z * z / count);
  const double centre = scale * (rate + z * z / (2 * count));
  const double half =
      scale * z * std::sqrt(rate * (1 - rate) / count + z * z / (4 * count * count));
  // Exactly 0 and 1 at the ends, where the formula leaves rounding.
  return {rate, successes == 0 ? 0 : std::max(0.0, centre - half),
          successes == n ? 1 : std::min(1.0, centre + half)};
}

Interval StratifiedRate(std::span<const Stratum> strata, double confidence) {
  double total = 0;
  for (const Stratum& s : strata) total += s.n > 0 ? s.weight : kNan;
  if (strata.empty() || std::isnan(total)) return {kNan, 0, 1};
  double rate = 0, below = 0, above = 0;
  for (const Stratum& s : strata) {
    const double share = s.weight / total;
    const Interval in = WilsonInterval(s.successes, s.n, confidence);
    rate += share * in.value;
    below += std::pow(share * (in.value - in.low), 2);
    above += std::pow(share * (in.high - in.value), 2);
  }
  return {rate, std::max(0.0, rate - std::sqrt(below)), std::min(1.0, rate + std::sqrt(above))};
}

double QuantileSorted(std::span<const double> sorted, double p) {
  if (sorted.empty()) return kNan;
  const double position = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double Quantile(std::span<const double> values, double p) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  return QuantileSorted(sorted, p);
}

double Mean(std::span<const double> values) {
  if (values.empty()) return kNan;
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

Interval BootstrapMean(std::span<const double> values, Rng rng, int resamples, double confidence) {
  return BootstrapInterval(values, rng, resamples, confidence);
}

double McNemarExact(int64_t only_a, int64_t only_b) {
  const int64_t n = only_a + only_b;
  const int64_t fewer = std::min(only_a, only_b);
  if (n == 0) return 1;
  // Twice the binomial tail at one half, in logarithms so that a large n does not underflow.
  double tail = 0;
  for (int64_t k = 0; k <= fewer; ++k) {
    tail += std::exp(std::lgamma(n + 1.0) - std::lgamma(k + 1.0) - std::lgamma(n - k + 1.0) -
                     static_cast<double>(n) * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

Interval PairedBootstrap(std::span<const double> a, std::span<const double> b, Rng rng,
                         int resamples, double confidence) {
  std::vector<double> differences(a.size());
  for (size_t i = 0; i < a.size(); ++i) differences[i] = a[i] - b[i];
  return BootstrapInterval(differences, rng, resamples, confidence);
}

Interval StratifiedBootstrap(std::span<const std::vector<double>> strata, Rng rng, int resamples,
                             double confidence) {
  double value = 0;
  for (const auto& values : strata) value += Mean(values);
  value /= static_cast<double>(strata.size());
  if (std::isnan(value)) return {kNan, kNan, kNan};
  std::vector<double> means(static_cast<size_t>(resamples));
  for (double& mean : means) {
    for (const auto& values : strata) mean += ResampledMean(values, &rng);
    mean /= static_cast<double>(strata.size());
  }
  return PercentileInterval(value, &means, confidence);
}

Interval BootstrapRatio(std::span<const PairedSample> strata, Rng rng, int resamples,
                        double confidence) {
  double top = 0, bottom = 0;
  for (const PairedSample& sample : strata) {
    top += Mean(sample.a);
    bottom += Mean(sample.b);
  }
  const double value = top / bottom;
  if (!std::isfinite(value)) return {kNan, kNan, kNan};
  std::vector<double> ratios(static_cast<size_t>(resamples));
  for (double& ratio : ratios) {
    top = bottom = 0;
    for (const PairedSample& sample : strata) {
      const auto n = static_cast<int>(sample.a.size());
      double a = 0, b = 0;
      for (int i = 0; i < n; ++i) {
        const auto at = static_cast<size_t>(rng.UniformInt(n));
        a += sample.a[at];
        b += sample.b[at];
      }
      top += a / n;
      bottom += b / n;
    }
    ratio = bottom == 0 ? value : top / bottom;
  }
  return PercentileInterval(value, &ratios, confidence);
}

TimeToSuccess TimeToSuccessOf(std::span<const TimedOutcome> outcomes, Rng rng) {
  std::vector<double> times, restricted;
  for (const TimedOutcome& o : outcomes) {
    restricted.push_back(o.success ? std::min(o.seconds, o.horizon_s) : o.horizon_s);
    if (o.success) times.push_back(o.seconds);
  }
  std::sort(times.begin(), times.end());
  return {static_cast<int>(times.size()), QuantileSorted(times, 0.5), QuantileSorted(times, 0.9),
          BootstrapMean(restricted, rng)};
}

}  // namespace kvla
