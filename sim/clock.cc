// SPDX-License-Identifier: Apache-2.0
#include "sim/clock.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace kvla {
namespace {

// Ten periods of a tenth of a control step are one control step, whatever the rounding.
constexpr double kSlack = 1e-9;
constexpr double kMostSteps = 1e6;  // of one answer

}  // namespace

Result<ClockKind> ParseClockKind(const std::string& name) {
  if (name == "frozen") return ClockKind::kFrozen;
  if (name == "simulated") return ClockKind::kSimulated;
  if (name == "wall") return ClockKind::kWall;
  return BadInput("no clock '" + name + "': one of [frozen, simulated, wall]" +
                  DidYouMean(name, {"frozen", "simulated", "wall"}));
}

int Clock::StepsDuring(double seconds) {
  if (kind_ == ClockKind::kFrozen || !(seconds > 0)) return 0;
  owed_ = std::min(owed_ + seconds * control_rate_hz_, kMostSteps);
  const double whole = std::floor(owed_ + kSlack);
  owed_ -= whole;
  return static_cast<int>(whole);
}

bool Clock::Late(double seconds) const {
  return kind_ != ClockKind::kFrozen && seconds * control_rate_hz_ > 1 + kSlack;
}

}  // namespace kvla
