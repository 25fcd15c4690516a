// SPDX-License-Identifier: Apache-2.0
#include "tasks/count_presses/count_presses_expert.h"

#include <algorithm>
#include <cmath>

#include "tasks/buttons.h"
#include "tasks/count_presses/count_presses.h"

namespace kvla {
namespace {

constexpr float kClosed = 1;
constexpr double kBehind = 0.050;       // the lever, on the way down
constexpr double kPullHeight = 0.055;   // of the pinch point
constexpr double kClearHeight = 0.125;  // over the lever
constexpr double kPullLength = 0.11;

}  // namespace

CountPressesExpert::CountPressesExpert(const Scenario& scenario, bool blind, Rng rng)
    : ChoreExpert(scenario, CountPresses::kLayout, rng) {
  const int guess = 1 + rng.UniformInt(CountPresses::kMostBlinks);
  count_ = blind ? guess : scenario.target;
}

void CountPressesExpert::LabelOf(const World& world, bool go, ExpertLabel* label) const {
  const mjtNum* memory = world.data()->userdata;
  const int owed = scenario().target;
  label->decision = go && memory[CountPresses::kPulled] == 0;
  label->target = -1;
  if (label->decision) {
    label->target = std::max(0, owed - static_cast<int>(memory[CountPresses::kPresses]));
  }
  // While the lamp is lit: the blinks so far.
  const int step = world.control_steps();
  for (int i = 0; i < owed; ++i) {
    const double begin = scenario().params[CountPresses::kBlinks + static_cast<size_t>(i)];
    if (step >= begin && step < begin + kFlashSteps) label->target = i + 1;
  }
}

Action CountPressesExpert::AfterGo(const World& world, ExpertLabel* label) {
  const int presses = static_cast<int>(world.data()->userdata[CountPresses::kPresses]);
  if (presses > seen_) rising_ = true;
  seen_ = presses;
  if (rising_ && ClearOfButtons(world)) rising_ = false;
  return rising_ || presses < count_ ? Press(world, label) : Pull(world, label);
}

Action CountPressesExpert::Press(const World& world, ExpertLabel* label) {
  const Vec3 button = CountPresses::ButtonPlace();
  label->waypoint = rising_ ? RisenFrom(button) : button;
  return rising_ ? RiseFromButton(world, button) : press_.Act(world, button);
}

Action CountPressesExpert::Pull(const World& world, ExpertLabel* label) {
  const Pose ee = world.EndEffector();
  const Vec3& p = ee.position;
  const Vec3 lever = CountPresses::LeverPlace();
  const Vec3 behind = {lever[0] + kBehind, lever[1], kPullHeight};
  const Vec3 end = {lever[0] + kBehind - kPullLength, lever[1], kPullHeight};
  const bool low = p[2] < kClearHeight - 0.02;
  const bool beside = std::abs(p[1] - lever[1]) > 0.02;
  if (pulling_ && (beside || p[0] < end[0] + 0.01)) pulling_ = false;  // missed: once more
  if (!pulling_ && HorizontalDistance(p, behind) < 0.02 && p[2] < kPullHeight + 0.012) {
    pulling_ = true;
  }
  label->waypoint = pulling_ ? end : behind;
  if (pulling_) return MoveTowards(ee, end, kClosed);
  if (HorizontalDistance(p, behind) < (low ? 0.02 : 0.008)) return MoveTowards(ee, behind, kClosed);
  if (low) return MoveTowards(ee, {p[0], p[1], kClearHeight + 0.01}, kClosed);
  return MoveTowards(ee, {behind[0], behind[1], kClearHeight}, kClosed);
}

}  // namespace kvla
