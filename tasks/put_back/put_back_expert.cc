// SPDX-License-Identifier: Apache-2.0
#include "tasks/put_back/put_back_expert.h"

#include "tasks/buttons.h"
#include "tasks/put_back/put_back.h"

namespace kvla {
namespace {

constexpr double kScatter = 0.008;

}  // namespace

PutBackExpert::PutBackExpert(const Scenario& scenario, bool blind, Rng rng) : scenario_(scenario) {
  const int guess = rng.UniformInt(PutBack::kPads);
  const auto pad = PutBack::PadPlace(blind ? guess : scenario.target);
  tray_ = {kTray[0] + rng.Uniform(-kScatter, kScatter),
           kTray[1] + rng.Uniform(-kScatter, kScatter)};
  pad_ = {pad[0] + rng.Uniform(-kScatter, kScatter), pad[1] + rng.Uniform(-kScatter, kScatter)};
}

Action PutBackExpert::Act(const World& world) {
  const mjtNum* memory = world.data()->userdata;
  const int step = world.control_steps();
  const double arrive = scenario_.params[PutBack::kArrive];
  const bool go = step >= scenario_.params[PutBack::kGo];
  const bool cue = step >= arrive && step < scenario_.cues[0].end_s / kControlPeriod;
  const bool taken = memory[PutBack::kTaken] > 0;
  const bool placed = memory[PutBack::kPlaced] > 0;
  label_.decision = go && !placed;
  label_.target = cue || label_.decision ? scenario_.target : -1;

  // To the block when it is there and not where it belongs, but not in the middle of a press.
  const bool fetch = memory[PutBack::kArrived] > 0 && !placed && (!taken || go);
  if (!carrying_ && fetch && ClearOfButtons(world)) {
    carrying_ = true;
    carry_ = CarrySkill();
  }
  if (carrying_ && !fetch && !carry_.busy() && ClearOfButtons(world)) carrying_ = false;
  if (!carrying_) return PressLit(world);
  const Action action = carry_.Act(world, taken && go ? pad_ : tray_);
  label_.waypoint = carry_.waypoint();
  return action;
}

Action PutBackExpert::PressLit(const World& world) {
  const mjtNum* memory = world.data()->userdata;
  const int lit = static_cast<int>(memory[PutBack::kLit]);
  const int pressed = static_cast<int>(memory[PutBack::kPressed]);
  if (pressed > pressed_) rising_ = true;
  pressed_ = pressed;
  if (rising_ && ClearOfButtons(world)) rising_ = false;
  // The one that was just pressed is the other one now.
  const Vec3 button = PutBack::ButtonPlace(rising_ ? 1 - lit : lit);
  label_.waypoint = rising_ ? RisenFrom(button) : button;
  return rising_ ? RiseFromButton(world, button) : press_.Act(world, button);
}

}  // namespace kvla
