// SPDX-License-Identifier: Apache-2.0
#include "results/statistics/paired.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace kvla {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double Tail(double z) { return 0.5 * std::erfc(z / std::sqrt(2.0)); }

// log of n! / (k! (n - k)!) p^k (1 - p)^(n - k)
double LogBinomial(int k, int n, double p) {
  if (p <= 0) return k == 0 ? 0 : -std::numeric_limits<double>::infinity();
  if (p >= 1) return k == n ? 0 : -std::numeric_limits<double>::infinity();
  return std::lgamma(n + 1.0) - std::lgamma(k + 1.0) - std::lgamma(n - k + 1.0) + k * std::log(p) +
         (n - k) * std::log1p(-p);
}

// The most wins of one side, of d discordant pairs, that the exact test still calls significant
// for the other; -1 if none does.
int CriticalCount(int d, double alpha) {
  double tail = 0;
  for (int k = 0; 2 * k < d; ++k) {
    tail += std::exp(LogBinomial(k, d, 0.5));
    if (2 * tail > alpha) return k - 1;
  }
  return (d - 1) / 2;
}

// P(K <= k), K binomial.
double BinomialCdf(int k, int n, double p) {
  double sum = 0;
  for (int i = 0; i <= k; ++i) sum += std::exp(LogBinomial(i, n, p));
  return std::min(1.0, sum);
}

// Where `crossed` turns true between `inside` (false) and `outside` (true).
template <class F>
double Bisect(double inside, double outside, F crossed) {
  for (int i = 0; i < 200; ++i) {
    const double middle = 0.5 * (inside + outside);
    if (middle == inside || middle == outside) break;
    (crossed(middle) ? outside : inside) = middle;
  }
  return 0.5 * (inside + outside);
}

}  // namespace

double ConstrainedOnlyB(const PairCounts& pairs, double difference) {
  const auto n = static_cast<double>(pairs.n), a = static_cast<double>(pairs.only_a),
             b = static_cast<double>(pairs.only_b);
  if (n == 0) return std::max(0.0, -difference);
  // The root of 2n q^2 + linear q + constant that lies in the allowed range.
  const double linear = -a - b + (2 * n - a + b) * difference;
  const double constant = -b * difference * (1 - difference);
  const double root = std::sqrt(std::max(0.0, linear * linear - 8 * n * constant));
  const double q = (root - linear) / (4 * n);
  return std::clamp(q, std::max(0.0, -difference), 0.5 * (1 - difference));
}

double TangoZ(const PairCounts& pairs, double difference) {
  const auto n = static_cast<double>(pairs.n);
  const double excess =
      static_cast<double>(pairs.only_a) - static_cast<double>(pairs.only_b) - n * difference;
  if (excess == 0) return 0;
  const double q = ConstrainedOnlyB(pairs, difference);
  const double variance = n * (2 * q + difference * (1 - difference));
  if (variance <= 0) return std::copysign(std::numeric_limits<double>::infinity(), excess);
  return excess / std::sqrt(variance);
}

Interval TangoInterval(const PairCounts& pairs, double confidence) {
  if (pairs.n == 0) return {kNan, -1, 1};
  const double value =
      static_cast<double>(pairs.only_a - pairs.only_b) / static_cast<double>(pairs.n);
  const double z = NormalQuantile(0.5 + confidence / 2);
  const double low =
      value <= -1 ? -1 : Bisect(value, -1, [&](double d) { return TangoZ(pairs, d) > z; });
  const double high =
      value >= 1 ? 1 : Bisect(value, 1, [&](double d) { return TangoZ(pairs, d) < -z; });
  return {value, low, high};
}

const char* InferiorityName(Inferiority verdict) {
  switch (verdict) {
    case Inferiority::kNonInferior:
      return "non-inferior";
    case Inferiority::kInferior:
      return "inferior";
    case Inferiority::kUndecided:
      break;
  }
  return "undecided";
}

NonInferiority TestNonInferiority(const PairCounts& pairs, double margin, double alpha) {
  NonInferiority out;
  out.margin = margin;
  out.difference = TangoInterval(pairs, 1 - 2 * alpha);
  if (pairs.n == 0) return out;
  out.p = Tail(TangoZ(pairs, -margin));
  if (out.difference.low > -margin) out.verdict = Inferiority::kNonInferior;
  if (out.difference.high < -margin) out.verdict = Inferiority::kInferior;
  return out;
}

double McNemarPower(int n, double only_a, double only_b, double alpha) {
  const double discordant = only_a + only_b;
  if (n <= 0 || discordant <= 0) return 0;
  const double share = only_a / discordant;
  double power = 0;
  for (int d = 1; d <= n; ++d) {
    const double weight = std::exp(LogBinomial(d, n, std::min(1.0, discordant)));
    if (weight < 1e-13) continue;
    const int critical = CriticalCount(d, alpha);
    if (critical < 0) continue;
    power += weight * (BinomialCdf(critical, d, share) + BinomialCdf(critical, d, 1 - share));
  }
  return std::min(1.0, power);
}

double NonInferiorityPower(int n, double only_a, double only_b, double margin, double alpha) {
  if (n <= 0) return 0;
  const double z = NormalQuantile(1 - alpha);
  const double discordant = std::min(1.0, only_a + only_b);
  const double share = discordant > 0 ? only_a / discordant : 0;
  double power = 0;
  for (int d = 0; d <= n; ++d) {
    const double weight = std::exp(LogBinomial(d, n, discordant));
    if (weight < 1e-13) continue;
    for (int a = 0; a <= d; ++a) {
      if (TangoZ({n, a, d - a}, -margin) > z) {
        power += weight * std::exp(LogBinomial(a, d, share));
      }
    }
  }
  return std::min(1.0, power);
}

double DetectableDifference(int n, double discordant, double power, double alpha) {
  const auto found = [&](double difference) {
    const double all = std::max(discordant, difference);
    return McNemarPower(n, 0.5 * (all + difference), 0.5 * (all - difference), alpha) >= power;
  };
  if (!found(1)) return kNan;
  double low = 0, high = 1;
  for (int i = 0; i < 12; ++i) {
    const double middle = 0.5 * (low + high);
    (found(middle) ? high : low) = middle;
  }
  return high;
}

}  // namespace kvla
