// SPDX-License-Identifier: Apache-2.0
#include "results/statistics/budget_certificate.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "base/rng.h"

namespace kvla {
namespace {

using Verdicts = std::vector<BudgetVerdict>;

Verdicts VerdictsOf(const BudgetCertificate& certificate) {
  Verdicts verdicts;
  for (const BudgetTest& test : certificate.tests) verdicts.push_back(test.verdict);
  return verdicts;
}

constexpr BudgetVerdict kYes = BudgetVerdict::kCertified, kNo = BudgetVerdict::kRefuted,
                        kOpen = BudgetVerdict::kCannotTell, kNever = BudgetVerdict::kNotTested;

// By hand, with the constrained probabilities found by a search for the largest likelihood: at a
// loss of .05 {400, 8, 8} has z = 20 / sqrt(28.17) = 3.7685, {400, 6, 10} 3.1184, {400, 4, 14}
// 2.0159, {400, 3, 30} -1.3417.
TEST(BudgetCertificate, AgreesWithCalculationsByHand) {
  const std::vector<PairCounts> pairs = {{400, 8, 8}, {400, 6, 10}, {400, 4, 14}, {400, 3, 30}};
  const BudgetCertificate c = CertifyBudgets(pairs, 0.05, 0.05);
  const double p[] = {8.2119e-5, 9.0914e-4, 0.021906, 0.910155};
  const double low[] = {-0.017665, -0.028234, -0.044710, -0.092976};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(c.tests[i].p, p[i], 1e-4 * p[i]) << i;
    EXPECT_NEAR(c.tests[i].difference.low, low[i], 1e-6) << i;
  }
  EXPECT_EQ(VerdictsOf(c), (Verdicts{kYes, kYes, kYes, kOpen}));
  EXPECT_EQ(c.smallest, 2);
  // At alpha .01 the third is not certified any more, and nothing below it is tested.
  const BudgetCertificate strict = CertifyBudgets(pairs, 0.05, 0.01);
  EXPECT_EQ(VerdictsOf(strict), (Verdicts{kYes, kYes, kOpen, kNever}));
  EXPECT_EQ(strict.smallest, 1);
}

TEST(BudgetCertificate, NothingIsTestedBelowTheFirstThatFails) {
  const PairCounts good{400, 8, 8}, bad{400, 2, 80}, few{20, 0, 0}, none{};
  EXPECT_EQ(VerdictsOf(CertifyBudgets(std::vector{good, bad, good}, 0.05, 0.05)),
            (Verdicts{kYes, kNo, kNever}));
  EXPECT_EQ(VerdictsOf(CertifyBudgets(std::vector{few, good}, 0.05, 0.05)),
            (Verdicts{kOpen, kNever}));
  const BudgetCertificate empty = CertifyBudgets(std::vector{none, good}, 0.05, 0.05);
  EXPECT_EQ(VerdictsOf(empty), (Verdicts{kOpen, kNever}));
  EXPECT_EQ(empty.smallest, -1);
  EXPECT_EQ(empty.tests[0].more, 0);
  EXPECT_TRUE(CertifyBudgets({}, 0.05, 0.05).tests.empty());
}

// By hand: only_a = 1.5 / 101, only_b = 3.5 / 101, q = .060116 at the margin; (1.6449 * .26036 +
// .8416 * .22164)^2 / .030198^2 = 414.2.
TEST(BudgetCertificate, SaysHowManyPairsAreLikelyToDecide) {
  EXPECT_EQ(PairsToDecide({100, 1, 3}, 0.05, 0.05), 415);
  EXPECT_EQ(PairsToDecide({60, 0, 0}, 0.02, 0.05), 379);
  EXPECT_EQ(CertifyBudgets(std::vector<PairCounts>{{100, 1, 3}}, 0.05, 0.05).tests[0].more, 315);
  // That is the chance that the test has there.
  EXPECT_NEAR(NonInferiorityPower(415, 1.5 / 101, 3.5 / 101, 0.05, 0.05), 0.8, 0.04);
  // On the margin itself no number decides; beyond it they refute.
  EXPECT_EQ(PairsToDecide({99, 0, 5}, 0.05, 0.05), 0);
  EXPECT_EQ(PairsToDecide({}, 0.05, 0.05), 0);
  const PairCounts worse{60, 1, 7};
  ASSERT_EQ(CertifyBudgets(std::vector{worse}, 0.05, 0.05).tests[0].verdict, kOpen);
  EXPECT_GT(PairsToDecide(worse, 0.05, 0.05), 60);
}

// Five budgets on the same episodes: two lose nothing, three lose exactly the margin. How often is
// one of the three certified?
TEST(BudgetCertificate, TheErrorOverTheWholeGridIsAlpha) {
  constexpr double kLoss = 0.1, kAlpha = 0.05;
  constexpr int kRuns = 4000, kPairs = 150, kBudgets = 5, kHarmless = 2;
  Rng rng(20261130);
  int wrong = 0, wrong_alone = 0, found = 0;
  for (int run = 0; run < kRuns; ++run) {
    std::vector<PairCounts> pairs(kBudgets, PairCounts{kPairs, 0, 0});
    for (int i = 0; i < kPairs; ++i) {
      for (int b = 0; b < kBudgets; ++b) {
        const double only_b = b < kHarmless ? 0.02 : kLoss + 0.05;
        const double only_a = b < kHarmless ? 0.02 : 0.05;
        const double draw = rng.Uniform();
        pairs[static_cast<size_t>(b)].only_a += draw < only_a;
        pairs[static_cast<size_t>(b)].only_b += draw >= only_a && draw < only_a + only_b;
      }
    }
    const BudgetCertificate c = CertifyBudgets(pairs, kLoss, kAlpha);
    wrong += c.smallest >= kHarmless;
    found += c.smallest >= kHarmless - 1;
    bool any = false;
    for (int b = kHarmless; b < kBudgets; ++b) any |= c.tests[static_cast<size_t>(b)].p < kAlpha;
    wrong_alone += any;
  }
  // Three standard errors of the share are .01.
  EXPECT_LT(wrong, (kAlpha + 0.01) * kRuns);
  EXPECT_GT(wrong, (kAlpha - 0.02) * kRuns);
  EXPECT_GT(found, 0.98 * kRuns);
  // Without the sequence it would be more than twice as much.
  EXPECT_GT(wrong_alone, 2 * kAlpha * kRuns);
}

}  // namespace
}  // namespace kvla
