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
    : scenario_(scenario), chore_(rng) {
  const int guess = 1 + rng.UniformInt(CountPresses::kMostBlinks);
  count_ = blind ? guess : scenario.target;
}

void CountPressesExpert::SetLabel(const World& world) {
  const mjtNum* memory = world.data()->userdata;
  const auto& params = scenario_.params;
  const int step = world.control_steps();
  label_.decision = step >= params[CountPresses::kGo] && memory[CountPresses::kPulled] == 0;
  label_.target = -1;
  if (label_.decision) {
    label_.target =
        std::max(0, scenario_.target - static_cast<int>(memory[CountPresses::kPresses]));
  }
  // While the lamp is lit: the blinks so far.
  for (int i = 0; i < scenario_.target; ++i) {
    const double begin = params[CountPresses::kBlinks + static_cast<size_t>(i)];
    if (step >= begin && step < begin + kFlashSteps) label_.target = i + 1;
  }
}

Action CountPressesExpert::Act(const World& world) {
  SetLabel(world);
  const mjtNum* memory = world.data()->userdata;
  const bool go = world.control_steps() >= scenario_.params[CountPresses::kGo];
  if (go && !chore_.busy()) free_ = true;
  if (!free_) {
    const Action action = chore_.Act(world);
    label_.waypoint = chore_.waypoint();
    return action;
  }
  const int presses = static_cast<int>(memory[CountPresses::kPresses]);
  if (presses > seen_) rising_ = true;
  seen_ = presses;
  if (rising_ && ClearOfButtons(world)) rising_ = false;
  return rising_ || presses < count_ ? Press(world) : Pull(world);
}

Action CountPressesExpert::Press(const World& world) {
  const Vec3 button = CountPresses::ButtonPlace();
  label_.waypoint = rising_ ? RisenFrom(button) : button;
  return rising_ ? RiseFromButton(world, button) : press_.Act(world, button);
}

Action CountPressesExpert::Pull(const World& world) {
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
  label_.waypoint = pulling_ ? end : behind;
  if (pulling_) return MoveTowards(ee, end, kClosed);
  if (HorizontalDistance(p, behind) < (low ? 0.02 : 0.008)) return MoveTowards(ee, behind, kClosed);
  if (low) return MoveTowards(ee, {p[0], p[1], kClearHeight + 0.01}, kClosed);
  return MoveTowards(ee, {behind[0], behind[1], kClearHeight}, kClosed);
}

}  // namespace kvla
