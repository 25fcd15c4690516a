// SPDX-License-Identifier: Apache-2.0
#include "harness/certify/verdict.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace kvla {
namespace {

TEST(Verdict, IsRefutedOnlyWhereTheIntervalSaysSo) {
  EXPECT_EQ(JudgeAtMost(5, 100, 0.15).verdict, Verdict::kCertified);
  EXPECT_EQ(JudgeAtMost(15, 100, 0.15).verdict, Verdict::kCannotTell);
  EXPECT_EQ(JudgeAtMost(20, 100, 0.15).verdict, Verdict::kCannotTell);
  EXPECT_EQ(JudgeAtMost(30, 100, 0.15).verdict, Verdict::kRefuted);
  EXPECT_EQ(JudgeAtLeast(95, 100, 0.95).verdict, Verdict::kCertified);
  EXPECT_EQ(JudgeAtLeast(92, 100, 0.95).verdict, Verdict::kCannotTell);
  EXPECT_EQ(JudgeAtLeast(80, 100, 0.95).verdict, Verdict::kRefuted);
}

// Of new samples of `n` at `rate`, the share that is not left undecided.
double Decided(int n, double rate, double limit) {
  constexpr int kSamples = 400;
  Rng rng(7);
  int decided = 0;
  for (int sample = 0; sample < kSamples; ++sample) {
    int successes = 0;
    for (int i = 0; i < n; ++i) successes += rng.Uniform() < rate;
    decided += JudgeAtMost(successes, n, limit).verdict != Verdict::kCannotTell;
  }
  return static_cast<double>(decided) / kSamples;
}

TEST(Verdict, SaysHowManyMoreEpisodesAreLikelyToDecide) {
  const Judgement above = JudgeAtMost(20, 100, 0.15), below = JudgeAtMost(10, 100, 0.15);
  EXPECT_NEAR(Decided(static_cast<int>(100 + above.more), 0.20, 0.15), 0.8, 0.06);
  EXPECT_NEAR(Decided(static_cast<int>(100 + below.more), 0.10, 0.15), 0.8, 0.06);
  EXPECT_GT(JudgeAtLeast(93, 100, 0.95).more, 100);
}

TEST(Verdict, SaysWhereMoreEpisodesWouldNotDecide) {
  for (const Judgement& j : {JudgeAtMost(0, 0, 0.15), JudgeAtMost(20, 100, 0.20),
                             JudgeAtMost(2001, 10000, 0.20), JudgeAtMost(10, 100, 1.1)}) {
    EXPECT_EQ(j.verdict, Verdict::kCannotTell);
    EXPECT_EQ(j.more, 0);
    EXPECT_EQ(JudgementText(j), "cannot tell (more episodes would not)");
  }
}

TEST(Verdict, OfAWholeIsItsWorstPart) {
  const Judgement certified{.verdict = Verdict::kCertified}, refuted{.verdict = Verdict::kRefuted};
  const Judgement few{.more = 12}, many{.more = 300};
  EXPECT_EQ(Worse(certified, certified).verdict, Verdict::kCertified);
  EXPECT_EQ(JudgementText(Worse(certified, few)), "cannot tell (12 more episodes)");
  EXPECT_EQ(Worse(many, few).more, 300);
  EXPECT_EQ(JudgementText(Worse(few, refuted)), "REFUTED");
  EXPECT_EQ(Worse(few, refuted).more, 0);
}

}  // namespace
}  // namespace kvla
