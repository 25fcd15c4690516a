// SPDX-License-Identifier: Apache-2.0
#include "results/statistics/episode_costs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace kvla {
namespace {

// The decoder takes 1 ms in the first inference, 2 ms in the second, and so on.
std::vector<InferenceEvent> Events(int n) {
  std::vector<InferenceEvent> events(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i) {
    InferenceEvent& e = events[static_cast<size_t>(i)];
    e.index = i;
    e.cost.latency.attend_ms = i + 1;
    e.cost.kv_live_bytes = i == 1 ? 900 : 100;
    e.cost.flops = 10;
  }
  return events;
}

TEST(EpisodeCosts, TheLastTenthIsRoundedUp) {
  for (const auto& [n, tail] :
       {std::pair<int, size_t>{1, 1}, {9, 1}, {10, 1}, {11, 2}, {20, 2}, {21, 3}, {150, 15}}) {
    EXPECT_EQ(LastTenth(Events(n)).size(), tail) << n;
    EXPECT_EQ(LastTenth(Events(n)).back().index, n - 1);
  }
  EXPECT_TRUE(LastTenth({}).empty());
  EXPECT_DOUBLE_EQ(CostsOf(Events(20)).decoder_last10_ms, 19.5);
  EXPECT_DOUBLE_EQ(CostsOf(Events(20)).latency_last10_ms, 19.5);
  EXPECT_DOUBLE_EQ(CostsOf(Events(30)).decoder_last10_ms, 29);
}

// What runs in one inference of four is in a mean, and in no median.
TEST(EpisodeCosts, MeansHoldWhatRunsSeldom) {
  std::vector<InferenceEvent> events(40);
  for (size_t i = 0; i < events.size(); ++i) {
    events[i].cost.latency.attend_ms = 1;
    if (i % 4 == 3) events[i].cost.latency.gate_ms = 4;
  }
  const Costs c = CostsOf(events);
  EXPECT_DOUBLE_EQ(c.decoder_last10_ms, 2);
  EXPECT_DOUBLE_EQ(c.latency_ms, 2);
  EXPECT_DOUBLE_EQ(c.parts_ms[3], 1);
  EXPECT_DOUBLE_EQ(c.parts_ms[4], 1);
}

TEST(EpisodeCosts, PartsStandInTheOrderOfTheirNames) {
  const auto parts = PartsOf({1, 2, 3, 4, 5, 6, 7});
  EXPECT_EQ(parts, (std::array<double, kLatencyParts>{1, 2, 3, 4, 5, 6, 7}));
  EXPECT_STREQ(kLatencyPartNames[4], "gate");
}

TEST(EpisodeCosts, APeakIsTheLargestOfAllEpisodes) {
  const std::vector<Costs> episodes = {CostsOf(Events(4)), CostsOf(Events(1)), CostsOf({})};
  EXPECT_EQ(episodes[0].kv_bytes_peak, 900);
  EXPECT_EQ(episodes[1].kv_bytes_peak, 100);
  const Costs cell = MeanCosts(episodes);
  EXPECT_EQ(cell.kv_bytes_peak, 900);
  // An episode counts once, however long it is; one without an inference not at all.
  EXPECT_DOUBLE_EQ(cell.kv_bytes, (300 + 100) / 2.0);
  EXPECT_TRUE(std::isnan(MeanCosts({}).kv_bytes));
}

TEST(EpisodeCosts, BytesThatWereNotRecordedAreNoZeros) {
  std::vector<InferenceEvent> events = Events(4);
  Costs c = MeanCosts(std::vector<Costs>{CostsOf(events)});
  EXPECT_TRUE(std::isnan(c.attending_bytes));
  EXPECT_TRUE(std::isnan(c.attending_peak));
  EXPECT_TRUE(std::isnan(c.committed_peak));
  EXPECT_TRUE(std::isnan(c.method_bytes));
  for (InferenceEvent& e : events) {
    e.cost.kv_attending_bytes = e.cost.kv_live_bytes + 50;
    e.cost.kv_committed_bytes = 4096;
    e.cost.kv_transient_bytes = e.index == 2 ? 64 : 0;
    e.cost.method_bytes = 7;
  }
  c = MeanCosts(std::vector<Costs>{CostsOf(events)});
  EXPECT_EQ(c.attending_bytes, 350);
  EXPECT_EQ(c.attending_peak, 950);
  EXPECT_EQ(c.committed_peak, 4096);
  EXPECT_EQ(c.transient_peak, 64);
  EXPECT_EQ(c.method_bytes, 7);
}

TEST(EpisodeCosts, ARatioIsOneOfSumsOverTheCells) {
  const auto cell = [](double a, double b, int episodes) {
    Costs arm = CostsOf(Events(4)), full = arm;
    arm.kv_bytes = a;
    full.kv_bytes = b;
    CostPairs pairs;
    for (int i = 0; i < episodes; ++i) pairs.Add(arm, full);
    pairs.Add(CostsOf({}), full);  // without an inference: no pair
    return pairs;
  };
  const std::vector<CostPairs> cells = {cell(10, 20, 3), cell(10, 80, 9)};
  const CostRatios ratios = RatiosOf(cells);
  EXPECT_DOUBLE_EQ(ratios.kv_bytes.value, 20.0 / 100);  // not 0.3125, nor weighted by episodes
  EXPECT_DOUBLE_EQ(ratios.kv_bytes_of_cells, (0.5 + 0.125) / 2);
  EXPECT_TRUE(ratios.kv_bytes.no_spread());
  EXPECT_TRUE(std::isnan(RatiosOf(std::vector<CostPairs>{cells[0], {}}).kv_bytes.value));
}

}  // namespace
}  // namespace kvla
