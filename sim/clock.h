// SPDX-License-Identifier: Apache-2.0
// How the world's time goes on while the policy thinks.
#ifndef KVLA_SIM_CLOCK_H_
#define KVLA_SIM_CLOCK_H_

#include <string>

#include "base/status.h"

namespace kvla {

enum class ClockKind {
  kFrozen,     // the world waits for the policy
  kSimulated,  // it goes on for as long as a model of the latency says: deterministic
  kWall,       // it goes on for as long as the policy really took
};

Result<ClockKind> ParseClockKind(const std::string& name);  // "frozen", "simulated", "wall"

// Turns the seconds that a policy thinks into control steps that the world makes meanwhile. One an
// episode; not thread-safe.
class Clock {
 public:
  // The control steps that the robot makes in a second of thinking: kControlRateHz is real time,
  // more lets everything move faster against the policy. REQUIRES: control_rate_hz > 0.
  Clock(ClockKind kind, double control_rate_hz) : kind_(kind), control_rate_hz_(control_rate_hz) {}

  ClockKind kind() const { return kind_; }
  // Control steps that begin while the policy thinks for `seconds`; 0 under kFrozen. What is left
  // of a control period counts at the next call, so that no time is lost or made.
  int StepsDuring(double seconds);
  // Whether an answer after `seconds` comes later than the control step that it was for.
  bool Late(double seconds) const;

 private:
  ClockKind kind_;
  double control_rate_hz_;
  double owed_ = 0;  // control steps, below 1
};

}  // namespace kvla

#endif  // KVLA_SIM_CLOCK_H_
