// SPDX-License-Identifier: Apache-2.0
// Reference values: scipy 1.17.1, statsmodels 0.15.0 and numpy, printed by
//   statsmodels.stats.proportion.proportion_confint(k, n, alpha, method="wilson")
//   statsmodels.stats.contingency_tables.mcnemar([[10, b], [c, 10]], exact=True).pvalue
//   scipy.stats.norm.ppf(p); numpy.quantile(x, p)
//   scipy.stats.bootstrap((y,), numpy.mean, n_resamples=100000, method="percentile",
//                         random_state=1).confidence_interval
#include "results/statistics/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace kvla {
namespace {

TEST(Statistics, NormalQuantile) {
  EXPECT_NEAR(NormalQuantile(0.5), 0, 1e-12);
  EXPECT_NEAR(NormalQuantile(0.9), 1.2815515655446, 1e-12);
  EXPECT_NEAR(NormalQuantile(0.975), 1.95996398454005, 1e-12);
  EXPECT_NEAR(NormalQuantile(0.995), 2.5758293035489, 1e-12);
  EXPECT_NEAR(NormalQuantile(1e-9), -5.99780701500769, 1e-12);
}

TEST(Statistics, Wilson) {
  struct Case {
    int k, n;
    double low, high;
  };
  for (const Case& c : std::vector<Case>{{0, 10, 0, 0.277532799862889},
                                         {7, 10, 0.396778147461145, 0.892208732593699},
                                         {190, 200, 0.910421851861224, 0.972617354399236},
                                         {200, 200, 0.981154673622733, 1},
                                         {1, 60, 0.002948159794786, 0.088551297275901},
                                         {3, 4, 0.300641842582402, 0.954412739190299}}) {
    const Interval i = WilsonInterval(c.k, c.n);
    EXPECT_DOUBLE_EQ(i.value, static_cast<double>(c.k) / c.n);
    EXPECT_NEAR(i.low, c.low, 1e-13) << c.k << "/" << c.n;
    EXPECT_NEAR(i.high, c.high, 1e-13) << c.k << "/" << c.n;
  }
  const Interval wide = WilsonInterval(7, 10, 0.99);
  EXPECT_NEAR(wide.low, 0.320024679201103, 1e-13);
  EXPECT_NEAR(wide.high, 0.920433683476934, 1e-13);
  EXPECT_TRUE(std::isnan(WilsonInterval(0, 0).value));
}

TEST(Statistics, QuantileIsTypeSeven) {
  const std::vector<double> x = {3, 1, 4, 1, 5, 9, 2, 6};
  EXPECT_DOUBLE_EQ(Quantile(x, 0), 1);
  EXPECT_DOUBLE_EQ(Quantile(x, 0.1), 1);
  EXPECT_DOUBLE_EQ(Quantile(x, 0.5), 3.5);
  EXPECT_DOUBLE_EQ(Quantile(x, 0.9), 6.9);
  EXPECT_DOUBLE_EQ(Quantile(x, 0.95), 7.95);
  EXPECT_DOUBLE_EQ(Quantile(x, 1), 9);
  EXPECT_DOUBLE_EQ(Quantile(std::vector<double>{5}, 0.99), 5);
  EXPECT_TRUE(std::isnan(Quantile({}, 0.5)));
}

TEST(Statistics, McNemar) {
  EXPECT_DOUBLE_EQ(McNemarExact(0, 0), 1);
  EXPECT_NEAR(McNemarExact(1, 9), 0.021484375, 1e-12);
  EXPECT_NEAR(McNemarExact(9, 1), 0.021484375, 1e-12);
  EXPECT_DOUBLE_EQ(McNemarExact(5, 5), 1);
  EXPECT_NEAR(McNemarExact(0, 5), 0.0625, 1e-12);
  EXPECT_NEAR(McNemarExact(12, 30), 0.00791589733489673, 1e-12);
  EXPECT_NEAR(McNemarExact(300, 400), 0.000178476314485624, 1e-12);
}

TEST(Statistics, BootstrapMean) {
  std::vector<double> y(20, 0.0);
  y.insert(y.end(), 30, 0.25);
  y.insert(y.end(), 50, 0.5);
  y.insert(y.end(), 100, 1.0);
  const Interval i = BootstrapMean(y, Rng(1), 20000);
  EXPECT_DOUBLE_EQ(i.value, 0.6625);
  EXPECT_NEAR(i.low, 0.61125, 0.0026);  // two steps of the means' lattice, 1/800
  EXPECT_NEAR(i.high, 0.7125, 0.0026);
  const Interval again = BootstrapMean(y, Rng(1), 20000);
  EXPECT_EQ(i.low, again.low);
  EXPECT_EQ(i.high, again.high);
  EXPECT_TRUE(std::isnan(BootstrapMean({}, Rng(1)).value));
}

TEST(Statistics, PairedBootstrap) {
  std::vector<double> a(150, 1.0), b(130, 1.0);
  a.insert(a.end(), 50, 0.0);
  b.insert(b.end(), 60, 0.0);
  b.insert(b.end(), 10, 1.0);
  const Interval i = PairedBootstrap(a, b, Rng(2), 20000);
  EXPECT_DOUBLE_EQ(i.value, 0.05);
  EXPECT_NEAR(i.low, 0.0, 0.0051);  // one step of the lattice, 1/200
  EXPECT_NEAR(i.high, 0.105, 0.0051);
  // Pairing matters: equal outcomes leave no spread at all.
  EXPECT_EQ(PairedBootstrap(a, a, Rng(2)).value, 0);
  EXPECT_TRUE(PairedBootstrap(a, a, Rng(2)).no_spread());
}

// An interval of no width would read as certainty.
TEST(Statistics, ASampleWithoutSpreadHasNoInterval) {
  const auto none = [](const Interval& i, double value) {
    EXPECT_DOUBLE_EQ(i.value, value);
    EXPECT_TRUE(i.no_spread());
    EXPECT_TRUE(std::isnan(i.low) && std::isnan(i.high));
  };
  none(BootstrapMean(std::vector<double>{1}, Rng(1)), 1);
  none(BootstrapMean(std::vector<double>(40, 0.1), Rng(1)), 0.1);
  none(PairedBootstrap(std::vector<double>{1, 0.5}, std::vector<double>{0.5, 0}, Rng(1)), 0.5);
  none(StratifiedBootstrap(std::vector<std::vector<double>>{{1}, {0}}, Rng(1)), 0.5);
  none(BootstrapRatio(std::vector<PairedSample>{{{1}, {4}}}, Rng(1)), 0.25);
  none(BootstrapRatio(std::vector<PairedSample>{{{1, 3}, {4, 12}}}, Rng(1)), 0.25);
  const TimeToSuccess time =
      TimeToSuccessOf(std::vector<TimedOutcome>{{false, 3, 30}, {false, 4, 30}}, Rng(1));
  none(time.restricted_s, 30);
  EXPECT_FALSE(BootstrapMean(std::vector<double>{1, 0}, Rng(1)).no_spread());
  EXPECT_FALSE(BootstrapMean({}, Rng(1)).no_spread()) << "no data is another thing";
}

TEST(Statistics, RatiosResampleWithinStrata) {
  // The strata differ a hundredfold and vary little within.
  const std::vector<PairedSample> strata = {{{1.0, 1.1, 0.9, 1.0}, {2.0, 2.1, 1.9, 2.0}},
                                            {{100, 101, 99, 100}, {400, 402, 398, 400}}};
  const Interval in = BootstrapRatio(strata, Rng(3));
  EXPECT_DOUBLE_EQ(in.value, 101.0 / 402);
  EXPECT_GT(in.low, 0.249);
  EXPECT_LT(in.high, 0.253);
  EXPECT_TRUE(
      std::isnan(BootstrapRatio(std::vector<PairedSample>{{{1}, {2}}, {{}, {}}}, Rng(3)).value));
  EXPECT_TRUE(std::isnan(BootstrapRatio(std::vector<PairedSample>{{{1}, {0}}}, Rng(3)).value));
}

}  // namespace
}  // namespace kvla
