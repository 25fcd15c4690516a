// SPDX-License-Identifier: Apache-2.0
// results/ against scipy and statsmodels: values and how they were made in tests/results/data/.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "results/statistics/paired.h"
#include "results/statistics/statistics.h"
#include "results/statistics/stop_rule.h"

namespace kvla {
namespace {

using nlohmann::json;

const json& Reference(const char* key) {
  static const json all = [] {
    std::ifstream file(KVLA_ASSET_ROOT "/tests/results/data/statistics_reference.json");
    return json::parse(file, nullptr, false);
  }();
  EXPECT_TRUE(all.contains(key)) << key;
  static const json none = json::array();
  return all.contains(key) ? all[key] : none;
}

void ExpectInterval(const Interval& got, const json& want, double tolerance, const json& of) {
  EXPECT_NEAR(got.low, want.at(0).get<double>(), tolerance) << of.dump();
  EXPECT_NEAR(got.high, want.at(1).get<double>(), tolerance) << of.dump();
}

PairCounts Pairs(const json& c) { return {c["n"], c["only_a"], c["only_b"]}; }

TEST(StatisticsReference, Wilson) {
  for (const json& c : Reference("wilson")) {
    ExpectInterval(WilsonInterval(c["k"], c["n"], c["confidence"]), c["interval"], 1e-12, c);
  }
}

TEST(StatisticsReference, McNemar) {
  for (const json& c : Reference("mcnemar")) {
    EXPECT_NEAR(McNemarExact(c["only_a"], c["only_b"]), c["p"].get<double>(), 1e-12) << c;
  }
}

TEST(StatisticsReference, Stratified) {
  for (const json& c : Reference("stratified")) {
    std::vector<Stratum> strata;
    for (const json& s : c["strata"]) strata.push_back({s[0], s[1], s[2]});
    const Interval in = StratifiedRate(strata);
    EXPECT_NEAR(in.value, c["interval"][0].get<double>(), 1e-12);
    EXPECT_NEAR(in.low, c["interval"][1].get<double>(), 1e-12);
    EXPECT_NEAR(in.high, c["interval"][2].get<double>(), 1e-12);
  }
}

TEST(StatisticsReference, StratifiedBootstrap) {
  for (const json& c : Reference("stratified_bootstrap")) {
    const auto strata = c["strata"].get<std::vector<std::vector<double>>>();
    const Interval in = StratifiedBootstrap(strata, Rng(1), 20000);
    EXPECT_NEAR(in.value, c["interval"][0].get<double>(), 1e-12);
    EXPECT_NEAR(in.low, c["interval"][1].get<double>(), 0.01);
    EXPECT_NEAR(in.high, c["interval"][2].get<double>(), 0.01);
  }
}

TEST(StatisticsReference, Tango) {
  for (const json& c : Reference("tango")) {
    ExpectInterval(TangoInterval(Pairs(c), c["confidence"]), c["interval"], 1e-6, c);
    for (const json& point : c["z"]) {
      EXPECT_NEAR(TangoZ(Pairs(c), point[0]), point[1].get<double>(), 1e-5) << c << point;
    }
  }
}

TEST(StatisticsReference, NonInferiority) {
  for (const json& c : Reference("non_inferiority")) {
    EXPECT_NEAR(TestNonInferiority(Pairs(c), c["margin"]).p, c["p"].get<double>(), 1e-6) << c;
  }
}

TEST(StatisticsReference, Power) {
  for (const json& c : Reference("mcnemar_power")) {
    EXPECT_NEAR(McNemarPower(c["n"], c["only_a"], c["only_b"], c["alpha"]),
                c["power"].get<double>(), 1e-9)
        << c;
  }
  for (const json& c : Reference("non_inferiority_power")) {
    EXPECT_NEAR(NonInferiorityPower(c["n"], c["only_a"], c["only_b"], c["margin"]),
                c["power"].get<double>(), 1e-6)
        << c;
  }
}

TEST(StatisticsReference, Sequences) {
  for (const json& c : Reference("rate_sequence")) {
    ExpectInterval(RateSequence(c["k"], c["n"], c["alpha"]), c["interval"], 1e-8, c);
  }
  for (const json& c : Reference("difference_sequence")) {
    ExpectInterval(DifferenceSequence(Pairs(c), c["alpha"]), c["interval"], 1e-6, c);
  }
}

}  // namespace
}  // namespace kvla
