// SPDX-License-Identifier: Apache-2.0
#include "results/statistics/stop_rule.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"

namespace kvla {
namespace {

StopPlan Plan(int episodes, std::vector<std::string> arms = {"full", "gated"}) {
  return {std::move(arms), {{"recall_color", "long"}, {"pick_place", ""}}, 100, episodes};
}

EpisodeRow Row(const std::string& arm, const std::pair<std::string, std::string>& cell,
               int64_t seed, bool success) {
  EpisodeRow row;
  row.id = {arm, cell.first, cell.second, seed};
  row.outcome = success ? "success" : "failure";
  row.success = success;
  return row;
}

// Every arm on every cell, `full` at 95%, the others at `rate`.
std::vector<EpisodeRow> Rows(const StopPlan& plan, int episodes, double rate, uint64_t key = 1) {
  Rng rng(key);
  std::vector<EpisodeRow> rows;
  for (int i = 0; i < episodes; ++i) {
    for (const auto& cell : plan.cells) {
      for (const std::string& arm : plan.arms) {
        const bool success = rng.Uniform() < (arm == "full" ? 0.95 : rate);
        rows.push_back(Row(arm, cell, plan.first_episode + i, success));
      }
    }
  }
  return rows;
}

// Looked at after every episode, the truth stays inside in 95 of 100 studies or more; a Wilson
// interval looked at as often does not.
TEST(Sequential, CoversUnderPeeking) {
  Rng rng(7);
  int lost = 0, lost_difference = 0, lost_wilson = 0;
  constexpr int kStudies = 300, kLooks = 300;
  for (int study = 0; study < kStudies; ++study) {
    int64_t wins = 0;
    PairCounts pairs;
    bool out = false, out_difference = false, out_wilson = false;
    for (int n = 1; n <= kLooks; ++n) {
      const bool a = rng.Uniform() < 0.8, b = a ? rng.Uniform() < 0.9 : rng.Uniform() < 0.2;
      wins += a ? 1 : 0;
      pairs.n = n;
      pairs.only_a += a && !b ? 1 : 0;
      pairs.only_b += !a && b ? 1 : 0;
      const auto misses = [](const Interval& in, double truth) {
        return truth < in.low || truth > in.high;
      };
      if (n % 3 != 0) continue;
      out = out || misses(RateSequence(wins, n), 0.8);
      out_difference = out_difference || misses(DifferenceSequence(pairs), 0.8 - 0.76);
      out_wilson = out_wilson || misses(WilsonInterval(wins, n), 0.8);
    }
    lost += out ? 1 : 0;
    lost_difference += out_difference ? 1 : 0;
    lost_wilson += out_wilson ? 1 : 0;
  }
  EXPECT_LE(lost, kStudies / 20);
  EXPECT_LE(lost_difference, kStudies / 20);
  EXPECT_GT(lost_wilson, kStudies / 10);
}

TEST(Sequential, SequencesAreWiderThanFixedIntervalsAndShrink) {
  const Interval one = RateSequence(45, 60), many = RateSequence(1500, 2000);
  EXPECT_LT(one.low, WilsonInterval(45, 60).low);
  EXPECT_GT(one.high, WilsonInterval(45, 60).high);
  EXPECT_LT(many.high - many.low, 0.08);
  EXPECT_EQ(RateSequence(0, 5).low, 0);
  EXPECT_EQ(RateSequence(5, 5).high, 1);
  EXPECT_EQ(DifferenceSequence({}).high, 1);
  const Interval same = DifferenceSequence({1000, 0, 0});
  EXPECT_LT(same.low, 0);
  EXPECT_GT(same.low, -0.02);
}

TEST(StopWhen, StopsOnceEveryStatementIsMade) {
  StopRule rule;
  rule.rule = "difference";
  const StopPlan plan = Plan(400);
  const StopDecision far = DecideStop(rule, plan, Rows(plan, 400, 0.3));
  EXPECT_TRUE(far.stop);
  EXPECT_GE(far.episodes, rule.min_episodes);
  EXPECT_LT(far.episodes, 80);
  ASSERT_EQ(far.statements.size(), 2u);
  EXPECT_NE(far.statements[0].find("gated - full on recall_color/long: -"), std::string::npos);
  // No more than the deciding prefix was needed, and the rest changes nothing.
  EXPECT_TRUE(DecideStop(rule, plan, Rows(plan, far.episodes, 0.3)).stop);
  EXPECT_FALSE(DecideStop(rule, plan, Rows(plan, far.episodes - 1, 0.3)).stop);
  const StopDecision close = DecideStop(rule, plan, Rows(plan, 60, 0.9));
  EXPECT_FALSE(close.stop);
  EXPECT_EQ(close.episodes, 60);
  EXPECT_FALSE(DecideStop(StopRule{}, plan, Rows(plan, 400, 0.3)).stop);
}

// The chance of a wrong statement is that of the whole run: its statements share it.
TEST(StopWhen, TheStatementsShareAlpha) {
  StopRule rule;
  rule.rule = "difference";
  rule.min_episodes = 1;
  const StopPlan plan = Plan(60, {"full", "a", "b", "c", "d"});
  std::vector<EpisodeRow> rows;
  for (int i = 0; i < 60; ++i) {
    for (const auto& cell : plan.cells) {
      for (const std::string& arm : plan.arms) {
        rows.push_back(Row(arm, cell, plan.first_episode + i, arm == "full"));
      }
    }
  }
  const auto decided = [](double alpha) {
    int n = 1;
    while (DifferenceSequence({n, 0, n}, alpha).high >= 0) ++n;
    return n;
  };
  ASSERT_GT(decided(rule.alpha / 8), decided(rule.alpha));
  EXPECT_EQ(DecideStop(rule, plan, rows).episodes, decided(rule.alpha / 8));
}

TEST(StopWhen, TheRunEndsWhereTheLastOfItsStatementsIsMade) {
  StopRule rule;
  rule.rule = "difference";
  rule.min_episodes = 1;
  const StopPlan plan = Plan(200);
  std::vector<EpisodeRow> rows;
  for (int i = 0; i < 200; ++i) {
    // In the first cell 'gated' loses every second episode, in the others every one.
    for (const auto& cell : plan.cells) {
      rows.push_back(Row("full", cell, plan.first_episode + i, true));
      rows.push_back(
          Row("gated", cell, plan.first_episode + i, cell == plan.cells[0] && i % 2 == 0));
    }
  }
  const auto decided = [&](int every) {
    const double alpha = rule.alpha / static_cast<double>(plan.cells.size());
    int n = 1;
    while (DifferenceSequence({n, 0, n / every}, alpha).high >= 0) ++n;
    return n;
  };
  ASSERT_LT(decided(1), decided(2));
  EXPECT_EQ(DecideStop(rule, plan, rows).episodes, decided(2));
  // And not before its fewest episodes.
  rule.min_episodes = decided(2) + 10;
  EXPECT_EQ(DecideStop(rule, plan, rows).episodes, rule.min_episodes);
}

TEST(StopWhen, DoesNotDependOnTheOrderOrOnEpisodesBeyondAGap) {
  StopRule rule;
  rule.rule = "rate_within";
  rule.points = 20;
  const StopPlan plan = Plan(200);
  std::vector<EpisodeRow> rows = Rows(plan, 200, 0.5);
  const StopDecision whole = DecideStop(rule, plan, rows);
  ASSERT_TRUE(whole.stop);
  Rng(3).Shuffle(rows);
  EXPECT_EQ(DecideStop(rule, plan, rows).statements, whole.statements);
  EXPECT_EQ(DecideStop(rule, plan, rows).episodes, whole.episodes);
  // One arm has not ended the third seed yet.
  std::erase_if(rows, [](const EpisodeRow& row) {
    return row.id.seed == 102 && row.id.arm == "gated" && row.id.task == "pick_place";
  });
  const StopDecision gap = DecideStop(rule, plan, rows);
  EXPECT_FALSE(gap.stop);
  EXPECT_EQ(gap.episodes, 2);
}

TEST(StopWhen, NonInferiorityAndErrors) {
  StopRule rule;
  rule.rule = "non_inferior";
  rule.points = 15;
  const StopPlan plan = Plan(600);
  std::vector<EpisodeRow> rows = Rows(plan, 600, 0.95);
  const StopDecision decision = DecideStop(rule, plan, rows);
  EXPECT_TRUE(decision.stop);
  // An error has ended but says nothing.
  for (EpisodeRow& row : rows) {
    if (row.id.arm == "gated") row.outcome = "error";
  }
  EXPECT_FALSE(DecideStop(rule, plan, rows).stop);
}

TEST(StopWhen, IsChecked) {
  StopRule rule;
  rule.rule = "difference";
  EXPECT_TRUE(CheckStopRule(rule, {"full", "gated"}).ok());
  EXPECT_FALSE(CheckStopRule(rule, {"full"}).ok());
  EXPECT_FALSE(CheckStopRule(rule, {"gated", "window"}).ok());
  rule.arm = "gatd";
  EXPECT_NE(CheckStopRule(rule, {"full", "gated"}).message().find("did you mean 'gated'?"),
            std::string::npos);
  rule.arm = "full";
  EXPECT_FALSE(CheckStopRule(rule, {"full", "gated"}).ok());
  rule.rule = "rate_within";
  EXPECT_TRUE(CheckStopRule(rule, {"full"}).ok());
}

}  // namespace
}  // namespace kvla
