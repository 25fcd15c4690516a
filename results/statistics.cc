#include "results/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace kvla {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double NormalCdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

// The percentile interval of the mean of `values` under resampling.
Interval BootstrapInterval(std::span<const double> values, Rng rng, int resamples,
                           double confidence) {
  Interval out{Mean(values), kNan, kNan};
  if (values.empty()) return out;
  const auto n = static_cast<int>(values.size());
  std::vector<double> means(static_cast<size_t>(resamples));
  for (double& mean : means) {
    double sum = 0;
    for (int i = 0; i < n; ++i) sum += values[static_cast<size_t>(rng.UniformInt(n))];
    mean = sum / n;
  }
  std::sort(means.begin(), means.end());
  out.low = QuantileSorted(means, (1 - confidence) / 2);
  out.high = QuantileSorted(means, (1 + confidence) / 2);
  return out;
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
  Interval out{0, kNan, kNan};
  for (const auto& values : strata) out.value += Mean(values);
  out.value /= static_cast<double>(strata.size());
  if (std::isnan(out.value)) return out;
  std::vector<double> means(static_cast<size_t>(resamples));
  for (double& mean : means) {
    for (const auto& values : strata) {
      const auto n = static_cast<int>(values.size());
      double sum = 0;
      for (int i = 0; i < n; ++i) sum += values[static_cast<size_t>(rng.UniformInt(n))];
      mean += sum / n;
    }
    mean /= static_cast<double>(strata.size());
  }
  std::sort(means.begin(), means.end());
  out.low = QuantileSorted(means, (1 - confidence) / 2);
  out.high = QuantileSorted(means, (1 + confidence) / 2);
  return out;
}

Interval BootstrapRatio(std::span<const double> a, std::span<const double> b, Rng rng,
                        int resamples, double confidence) {
  const double base = Mean(b);
  if (a.empty() || base == 0) return {kNan, kNan, kNan};
  Interval out{Mean(a) / base, kNan, kNan};
  const auto n = static_cast<int>(a.size());
  std::vector<double> ratios(static_cast<size_t>(resamples));
  for (double& ratio : ratios) {
    double top = 0, bottom = 0;
    for (int i = 0; i < n; ++i) {
      const auto at = static_cast<size_t>(rng.UniformInt(n));
      top += a[at];
      bottom += b[at];
    }
    ratio = bottom == 0 ? out.value : top / bottom;
  }
  std::sort(ratios.begin(), ratios.end());
  out.low = QuantileSorted(ratios, (1 - confidence) / 2);
  out.high = QuantileSorted(ratios, (1 + confidence) / 2);
  return out;
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
