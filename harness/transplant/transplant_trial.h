// SPDX-License-Identifier: Apache-2.0
// One episode that gets chunks of its twin's cache before it decides.
#ifndef KVLA_HARNESS_TRANSPLANT_TRANSPLANT_TRIAL_H_
#define KVLA_HARNESS_TRANSPLANT_TRANSPLANT_TRIAL_H_

#include <memory>
#include <string>

#include "base/status.h"
#include "harness/eval/runner.h"
#include "harness/transplant/transplant_config.h"
#include "tasks/task.h"

namespace kvla {

// Whose cue an episode decided by.
enum class TransplantAnswer {
  kOwn,
  kTwins,
  kOther,  // neither's
  kNone,   // it did not decide
  kError,  // it ended in an error: physics diverged, the policy failed
};
// "own", "twins", "other", "none", "error".
std::string AnswerName(TransplantAnswer answer);
Result<TransplantAnswer> ParseAnswer(const std::string& name);

// What became of one episode, played three times up to its end.
struct TransplantTrial {
  std::string arm, task, delay;
  int64_t seed = 0;
  // Why nothing was taken over; the rest then says nothing. Empty: it was.
  std::string skipped{};
  int taken = 0;  // chunks
  TransplantAnswer alone = TransplantAnswer::kNone;
  TransplantAnswer transplanted = TransplantAnswer::kNone;  // with the twin's chunks of the cue
  // With as many of the twin's chunks that saw no cue, the newest that have left the window.
  TransplantAnswer control = TransplantAnswer::kNone;
  int control_taken = 0;
};

// Plays `job` of the plan three times and its twin once, side by side; pauses all before the
// inference at which the memory is needed (TransplantConfig::offset_s away), puts the twin's chunks
// into two of them, and plays the three to their ends. Bad statuses are not the episode's.
Result<TransplantTrial> RunTransplantTrial(const TransplantPlan& plan, const EpisodeJob& job,
                                           const Task& task, EpisodeRunner* runner);

}  // namespace kvla

#endif  // KVLA_HARNESS_TRANSPLANT_TRANSPLANT_TRIAL_H_
