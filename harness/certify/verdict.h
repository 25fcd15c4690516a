// SPDX-License-Identifier: Apache-2.0
// What a number of episodes says of a bar: met, missed, or too few to tell.
#ifndef KVLA_HARNESS_CERTIFY_VERDICT_H_
#define KVLA_HARNESS_CERTIFY_VERDICT_H_

#include <cstdint>
#include <string>

namespace kvla {

enum class Verdict { kCertified, kRefuted, kCannotTell };

// "certified", "refuted", "cannot_tell".
const char* VerdictName(Verdict verdict);

struct Judgement {
  Verdict verdict = Verdict::kCannotTell;
  // Of kCannotTell: episodes more that would be likely to decide if the rate stays as it was seen;
  // 0: at that rate no number of them would.
  int64_t more = 0;
};

// The rate must lie below `limit`: certified where its 95% Wilson interval does, refuted where the
// interval lies above. A limit of 1 or more cannot be missed, so meeting it says nothing: cannot
// tell.
Judgement JudgeAtMost(int64_t successes, int64_t n, double limit);

// The rate itself must reach `bar`; refuted only where its 95% Wilson interval lies below.
Judgement JudgeAtLeast(int64_t successes, int64_t n, double bar);

// Of two parts of a whole: refuted before cannot tell before certified; the larger `more`.
Judgement Worse(const Judgement& a, const Judgement& b);

// "certified", "REFUTED", "cannot tell (120 more episodes)".
std::string JudgementText(const Judgement& judgement);

}  // namespace kvla

#endif  // KVLA_HARNESS_CERTIFY_VERDICT_H_
