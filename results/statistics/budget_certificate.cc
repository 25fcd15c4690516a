// SPDX-License-Identifier: Apache-2.0
#include "results/statistics/budget_certificate.h"

#include <algorithm>
#include <cmath>

namespace kvla {
namespace {

constexpr double kPower = 0.8;             // chance to decide
constexpr int64_t kMostPairs = 1'000'000;  // nobody runs more

}  // namespace

const char* BudgetVerdictName(BudgetVerdict verdict) {
  switch (verdict) {
    case BudgetVerdict::kCertified:
      return "certified";
    case BudgetVerdict::kRefuted:
      return "refuted";
    case BudgetVerdict::kCannotTell:
      return "cannot_tell";
    case BudgetVerdict::kNotTested:
      break;
  }
  return "not_tested";
}

// The usual size of a sample for a score test: a pair has the standard deviation `bound` where the
// loss is the margin, at which the test rejects, and `spread` at the rates that were seen.
int64_t PairsToDecide(const PairCounts& pairs, double loss, double alpha) {
  if (pairs.n == 0) return 0;
  const double all = static_cast<double>(pairs.n) + 1;
  const double only_a = (static_cast<double>(pairs.only_a) + 0.5) / all;
  const double only_b = (static_cast<double>(pairs.only_b) + 0.5) / all;
  // A sample so large that its rates are these.
  const PairCounts large{kMostPairs, std::llround(only_a * kMostPairs),
                         std::llround(only_b * kMostPairs)};
  const double q = ConstrainedOnlyB(large, -loss);
  const double bound = std::sqrt(2 * q - loss * (1 + loss));
  const double difference = only_a - only_b;
  const double spread = std::sqrt(only_a + only_b - difference * difference);
  const double sum = NormalQuantile(1 - alpha) * bound + NormalQuantile(kPower) * spread;
  const double needed = std::pow(sum / (difference + loss), 2);
  return needed <= kMostPairs ? static_cast<int64_t>(std::ceil(needed)) : 0;
}

BudgetCertificate CertifyBudgets(std::span<const PairCounts> pairs, double loss, double alpha) {
  BudgetCertificate out;
  bool unbroken = true;
  for (const PairCounts& counts : pairs) {
    const NonInferiority test = TestNonInferiority(counts, loss, alpha);
    BudgetTest row{.difference = test.difference, .p = test.p};
    if (unbroken) {
      switch (test.verdict) {
        case Inferiority::kNonInferior:
          row.verdict = BudgetVerdict::kCertified;
          out.smallest = static_cast<int>(out.tests.size());
          break;
        case Inferiority::kInferior:
          row.verdict = BudgetVerdict::kRefuted;
          break;
        case Inferiority::kUndecided:
          row.verdict = BudgetVerdict::kCannotTell;
          const int64_t needed = PairsToDecide(counts, loss, alpha);
          row.more = needed == 0 ? 0 : std::max<int64_t>(1, needed - counts.n);
          break;
      }
      unbroken = row.verdict == BudgetVerdict::kCertified;
    }
    out.tests.push_back(row);
  }
  return out;
}

}  // namespace kvla
