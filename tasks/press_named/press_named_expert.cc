#include "tasks/press_named/press_named_expert.h"

#include "tasks/buttons.h"
#include "tasks/press_named/press_named.h"

namespace kvla {

PressNamedExpert::PressNamedExpert(const Scenario& scenario, bool blind, Rng rng)
    : scenario_(scenario), chore_(rng) {
  const int guess = rng.UniformInt(kNumColors);
  const int color = blind ? guess : scenario.target;
  button_ = scenario.target_places[static_cast<size_t>(color)];
}

Action PressNamedExpert::Act(const World& world) {
  const mjtNum* memory = world.data()->userdata;
  const bool go = world.control_steps() >= scenario_.params[PressNamed::kGo];
  label_.target = go ? scenario_.target : -1;
  label_.decision = go && memory[PressNamed::kPressed] == 0;
  if (go && !chore_.busy()) free_ = true;
  if (!free_) {
    const Action action = chore_.Act(world);
    label_.waypoint = chore_.waypoint();
    return action;
  }
  const bool pressed = memory[PressNamed::kPressed] > 0;
  label_.waypoint = pressed ? RisenFrom(button_) : button_;
  if (pressed) return RiseFromButton(world, button_);
  return press_.Act(world, button_);
}

}  // namespace kvla
