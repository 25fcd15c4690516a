// SPDX-License-Identifier: Apache-2.0
#include "results/statistics/paired.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace kvla {
namespace {

TEST(Paired, NoDiscordantPairIsNoProof) {
  const Interval few = TangoInterval({5, 0, 0}), many = TangoInterval({500, 0, 0});
  EXPECT_EQ(few.value, 0);
  EXPECT_LT(few.low, -0.3);
  EXPECT_NEAR(few.low, -few.high, 1e-9);
  EXPECT_GT(many.low, -0.01);
  EXPECT_TRUE(std::isnan(TangoInterval({}).value));
}

TEST(Paired, IsSymmetric) {
  const Interval ab = TangoInterval({80, 11, 4}), ba = TangoInterval({80, 4, 11});
  EXPECT_NEAR(ab.low, -ba.high, 1e-9);
  EXPECT_NEAR(ab.high, -ba.low, 1e-9);
}

TEST(NonInferiority, Verdicts) {
  EXPECT_EQ(TestNonInferiority({400, 8, 8}, 0.05).verdict, Inferiority::kNonInferior);
  EXPECT_EQ(TestNonInferiority({400, 4, 80}, 0.05).verdict, Inferiority::kInferior);
  EXPECT_EQ(TestNonInferiority({40, 1, 2}, 0.03).verdict, Inferiority::kUndecided);
  EXPECT_EQ(TestNonInferiority({}, 0.03).verdict, Inferiority::kUndecided);
  // Worse for certain, by more than the margin or less.
  const NonInferiority worse = TestNonInferiority({200, 10, 30}, 0.1);
  EXPECT_LT(worse.difference.high, 0);
  EXPECT_EQ(worse.verdict, Inferiority::kUndecided);
  // The verdict and the p-value are one test.
  for (int b = 0; b < 40; ++b) {
    const NonInferiority t = TestNonInferiority({150, 3, b}, 0.06);
    EXPECT_EQ(t.verdict == Inferiority::kNonInferior, t.p < 0.025) << b;
  }
}

TEST(Power, WithoutPairsOrADifferenceThereIsNone) {
  EXPECT_EQ(McNemarPower(0, 0.5, 0.1), 0);
  EXPECT_EQ(McNemarPower(100, 0, 0), 0);
}

TEST(Power, DetectableDifference) {
  const double d = DetectableDifference(200, 0.1);
  EXPECT_NEAR(McNemarPower(200, 0.5 * (0.1 + d), 0.5 * (0.1 - d)), 0.8, 0.03);
  EXPECT_LT(DetectableDifference(800, 0.1), d);
  EXPECT_TRUE(std::isnan(DetectableDifference(3, 0.1)));
}

TEST(Strata, WeighEquallyAndNeedData) {
  const std::vector<Stratum> strata = {{20, 20, 1}, {100, 200, 1}};
  EXPECT_DOUBLE_EQ(StratifiedRate(strata).value, 0.75);
  const Interval one = StratifiedRate(std::vector<Stratum>{{7, 10, 5}});
  EXPECT_NEAR(one.low, WilsonInterval(7, 10).low, 1e-12);
  EXPECT_TRUE(std::isnan(StratifiedRate(std::vector<Stratum>{{7, 10, 1}, {0, 0, 1}}).value));
  EXPECT_TRUE(std::isnan(StratifiedRate({}).value));
  const std::vector<std::vector<double>> differences = {{1, 0, 0, 0}, {}};
  EXPECT_TRUE(std::isnan(StratifiedBootstrap(differences, Rng(1)).value));
}

TEST(TimeToSuccess, AFailureTakesTheWholeHorizon) {
  const std::vector<TimedOutcome> outcomes = {{true, 4, 30}, {true, 8, 30}, {false, 12, 30}};
  const TimeToSuccess t = TimeToSuccessOf(outcomes, Rng(1));
  EXPECT_EQ(t.successes, 2);
  EXPECT_DOUBLE_EQ(t.p50_s, 6);
  EXPECT_DOUBLE_EQ(t.restricted_s.value, 14);
  EXPECT_TRUE(std::isnan(TimeToSuccessOf({}, Rng(1)).p50_s));
}

}  // namespace
}  // namespace kvla
