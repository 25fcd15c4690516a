#include "tasks/repeat_sequence/repeat_sequence_expert.h"

#include "tasks/buttons.h"

namespace kvla {

RepeatSequenceExpert::RepeatSequenceExpert(const Scenario& scenario, bool blind, Rng rng)
    : scenario_(scenario), chore_(rng) {
  for (size_t i = 0; i < order_.size(); ++i) {
    order_[i] = static_cast<int>(scenario.params[RepeatSequence::kOrder + i]);
  }
  if (blind) rng.Shuffle(order_);
}

int RepeatSequenceExpert::LitAt(int step) const {
  const auto& params = scenario_.params;
  for (size_t i = 0; i < static_cast<size_t>(params[RepeatSequence::kLength]); ++i) {
    const double begin = params[RepeatSequence::kLit + i];
    if (step >= begin && step < begin + kFlashSteps) {
      return static_cast<int>(params[RepeatSequence::kOrder + i]);
    }
  }
  return -1;
}

Action RepeatSequenceExpert::Act(const World& world) {
  const mjtNum* memory = world.data()->userdata;
  const auto& params = scenario_.params;
  const int step = world.control_steps();
  const bool go = step >= params[RepeatSequence::kGo];
  const auto next = static_cast<size_t>(memory[RepeatSequence::kRight]);
  const bool open = next < params[RepeatSequence::kLength] && memory[RepeatSequence::kWrong] == 0;
  label_.decision = go && open;
  label_.target = LitAt(step);
  if (go) label_.target = open ? static_cast<int>(params[RepeatSequence::kOrder + next]) : -1;

  if (go && !chore_.busy()) free_ = true;
  if (!free_) {
    const Action action = chore_.Act(world);
    label_.waypoint = chore_.waypoint();
    return action;
  }
  const size_t which = open || next == 0 ? next : next - 1;
  const Vec3 button = RepeatSequence::ButtonPlace(order_[which]);
  label_.waypoint = open ? button : RisenFrom(button);
  return open ? press_.Act(world, button) : RiseFromButton(world, button);
}

}  // namespace kvla
