// SPDX-License-Identifier: Apache-2.0
#include "harness/bench/rounds.h"

#include <gtest/gtest.h>

namespace kvla {
namespace {

TEST(SamplesTest, MedianAndMeanAreThoseOfTheTimes) {
  Samples samples;
  for (const double ms : {9.0, 1.0, 2.0}) samples.Add(ms);
  EXPECT_EQ(samples.median(), 2);
  EXPECT_EQ(samples.mean(), 4);
  samples.Add(4);
  EXPECT_EQ(samples.median(), 3);
  EXPECT_EQ(samples.sum(), 16);
  EXPECT_EQ(samples.count(), 4);
  Samples other;
  other.Add(6);
  EXPECT_EQ(Ratio(samples, other), 0.5);
  nlohmann::json row;
  PutTimes("step", samples, &row);
  EXPECT_EQ(row, (nlohmann::json{{"step_ms_median", 3.0}, {"step_ms_mean", 4.0}}));
}

TEST(RoundsTest, TurnsAreTakenInOrderAndTheFirstRoundIsNotKept) {
  std::string order;
  const auto turn = [&order](char kept_as) {
    return [&order, kept_as](bool kept) {
      order += kept ? kept_as : '-';
      return Status();
    };
  };
  EXPECT_TRUE(TakeTurns({turn('a'), turn('b')}, 0).ok());
  EXPECT_EQ(order, "--ab");
  EXPECT_TRUE(TakeTurns({turn('a'), turn('b')}, 0.01).ok());
  EXPECT_GT(order.size(), 8u) << "two rounds take no hundredth of a second";
}

TEST(RoundsTest, ThereAreAsManyRoundsAsAreAskedFor) {
  int rounds = 0;
  const Turn count = [&rounds](bool) {
    ++rounds;
    return Status();
  };
  EXPECT_TRUE(TakeTurns({count}, 0, 5).ok());
  EXPECT_EQ(rounds, 5);
}

TEST(RoundsTest, LongWorkRunsOnceInEachRoundButTheFirst) {
  int calls = 0;
  Samples samples;
  EXPECT_TRUE(TakeTurns({Once([&calls] { ++calls; }, &samples)}, 0, 4).ok());
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(samples.count(), 3);
}

TEST(RoundsTest, ATurnThatFailsEndsThem) {
  int later = 0;
  const std::vector<Turn> turns = {[](bool kept) { return kept ? BadInput("no more") : Status(); },
                                   [&later](bool) {
                                     ++later;
                                     return Status();
                                   }};
  EXPECT_EQ(TakeTurns(turns, 3600).message(), "no more");
  EXPECT_EQ(later, 1);
}

TEST(RoundsTest, RepeatedWorkRunsOnceUntimedInEachTurn) {
  int calls = 0;
  Samples samples;
  const Turn turn = Repeat([&calls] { ++calls; }, &samples);
  EXPECT_TRUE(turn(false).ok());
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(samples.count(), 0);
  EXPECT_TRUE(turn(true).ok());
  EXPECT_GE(samples.count(), 1);
  EXPECT_EQ(calls, 2 + samples.count());
}

}  // namespace
}  // namespace kvla
