// SPDX-License-Identifier: Apache-2.0
#include "harness/certify/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "results/statistics/statistics.h"

namespace kvla {
namespace {

constexpr double kBound = 1.96;            // standard deviations of a 95% bound
constexpr double kPower = 0.84;            // of a chance of 80% to decide
constexpr double kMostEpisodes = 1000000;  // nobody runs more

// Wilson's interval is the score test turned round: `limit` is outside it where
//   |rate - limit| > 1.96 sqrt(limit (1 - limit) / n).
// The rate of new episodes scatters by sqrt(rate (1 - rate) / n), so that this holds with a chance
// of 80% from
//   n = ((1.96 sqrt(limit (1 - limit)) + 0.84 sqrt(rate (1 - rate))) / (rate - limit))^2
// on (the usual size of a sample to tell a rate from a given one).
int64_t More(int64_t successes, int64_t n, double limit) {
  if (n == 0) return 0;
  const double rate = static_cast<double>(successes) / static_cast<double>(n);
  const double spread =
      kBound * std::sqrt(limit * (1 - limit)) + kPower * std::sqrt(rate * (1 - rate));
  const double needed = std::pow(spread / (rate - limit), 2);
  if (!(needed <= kMostEpisodes)) return 0;
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(needed)) - n);
}

}  // namespace

const char* VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kCertified:
      return "certified";
    case Verdict::kRefuted:
      return "refuted";
    case Verdict::kCannotTell:
      break;
  }
  return "cannot_tell";
}

Judgement JudgeAtMost(int64_t successes, int64_t n, double limit) {
  if (limit >= 1) return {};
  const Interval rate = WilsonInterval(successes, n);
  if (rate.high < limit) return {.verdict = Verdict::kCertified};
  if (rate.low > limit) return {.verdict = Verdict::kRefuted};
  return {.more = More(successes, n, limit)};
}

Judgement JudgeAtLeast(int64_t successes, int64_t n, double bar) {
  const Interval rate = WilsonInterval(successes, n);
  if (rate.value >= bar) return {.verdict = Verdict::kCertified};
  if (rate.high < bar) return {.verdict = Verdict::kRefuted};
  return {.more = More(successes, n, bar)};
}

Judgement Worse(const Judgement& a, const Judgement& b) {
  for (const Verdict verdict : {Verdict::kRefuted, Verdict::kCannotTell}) {
    if (a.verdict != verdict && b.verdict != verdict) continue;
    return {.verdict = verdict,
            .more = verdict == Verdict::kRefuted ? 0 : std::max(a.more, b.more)};
  }
  return a;
}

std::string JudgementText(const Judgement& judgement) {
  switch (judgement.verdict) {
    case Verdict::kCertified:
      return "certified";
    case Verdict::kRefuted:
      return "REFUTED";
    case Verdict::kCannotTell:
      break;
  }
  return judgement.more > 0 ? fmt::format("cannot tell ({} more episodes)", judgement.more)
                            : "cannot tell (more episodes would not)";
}

}  // namespace kvla
