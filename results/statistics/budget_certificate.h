// SPDX-License-Identifier: Apache-2.0
// The smallest budget whose loss of success is below a margin, with a confidence that holds over
// the whole grid. Pure functions.
#ifndef KVLA_RESULTS_STATISTICS_BUDGET_CERTIFICATE_H_
#define KVLA_RESULTS_STATISTICS_BUDGET_CERTIFICATE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "results/statistics/paired.h"

namespace kvla {

enum class BudgetVerdict {
  kCertified,   // the loss is below the margin
  kRefuted,     // it is above; a statement of its own, with alpha for each
  kCannotTell,  // the pairs do not suffice for either
  kNotTested,   // a larger budget was not certified
};
const char* BudgetVerdictName(BudgetVerdict verdict);  // "certified", "cannot_tell", ...

struct BudgetTest {
  BudgetVerdict verdict = BudgetVerdict::kNotTested;
  Interval difference;  // of success, the budget's minus full's: Tango, each bound one-sided
  double p = 1;         // one-sided, of "the loss is the margin or more"
  int64_t more = 0;     // of kCannotTell: pairs more that are likely to decide; 0: no number is
};

struct BudgetCertificate {
  std::vector<BudgetTest> tests;  // in the order of the budgets
  int smallest = -1;              // index of the smallest certified budget; -1: none
};

// `pairs`: a with a budget, b with the full cache, from the largest budget to the smallest. Each is
// tested at `alpha` as long as all before it were certified (fixed-sequence testing: Maurer,
// Hothorn and Lehmacher 1995), so that the chance that any budget is certified whose loss is
// `loss` or more is alpha at most, over the whole grid. `loss` is a share, not points.
BudgetCertificate CertifyBudgets(std::span<const PairCounts> pairs, double loss, double alpha);

// How many pairs decide with a chance of 80% whether the loss is below `loss`, if the sides go on
// to win alone as often as they did here, half a pair more on either side. 0: more than a million,
// or there are no pairs to go by.
int64_t PairsToDecide(const PairCounts& pairs, double loss, double alpha);

}  // namespace kvla

#endif  // KVLA_RESULTS_STATISTICS_BUDGET_CERTIFICATE_H_
