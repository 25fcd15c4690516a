#include "tasks/shell_game/shell_game_expert.h"

#include <fmt/format.h>

#include "tasks/shell_game/shell_game.h"

namespace kvla {
namespace {

constexpr double kHover = 0.15;  // of the open gripper above the knobs
constexpr double kLift = 0.10;

}  // namespace

ShellGameExpert::ShellGameExpert(const Scenario& scenario, bool blind, Rng rng)
    : scenario_(scenario),
      rng_(rng),
      slot_(rng_.UniformInt(ShellGame::kCups)),
      chore_(rng_),
      knob_(kHover) {
  if (!blind) slot_ = scenario.target;
}

int ShellGameExpert::Shown(int step) const {
  const auto& params = scenario_.params;
  const int ball = static_cast<int>(params[ShellGame::kBall]);
  if (step >= params[ShellGame::kReveal] && step < params[ShellGame::kRevealEnd]) return ball;
  for (int i = 0; i < static_cast<int>(params[ShellGame::kNumSwaps]); ++i) {
    const int begin = static_cast<int>(params[ShellGame::kSwaps + 3 * static_cast<size_t>(i)]);
    const int end = begin + ShellGame::kSwapSteps;
    if (step >= begin + ShellGame::kSwapSteps / 2 && step < end) {
      return ShellGame::SlotAt(scenario_, ball, end);
    }
  }
  return -1;
}

Action ShellGameExpert::Act(const World& world) {
  const int step = world.control_steps();
  const bool go = step >= scenario_.params[ShellGame::kGo];
  label_.target = go ? scenario_.target : Shown(step);
  label_.decision = go && world.data()->userdata[ShellGame::kLifted] == 0;
  if (go && !free_ && !chore_.busy()) free_ = true;
  if (!free_) {
    const Action action = chore_.Act(world);
    label_.waypoint = chore_.waypoint();
    return action;
  }
  const int cup = ShellGame::CupAt(scenario_, slot_, step);
  const int body = mj_name2id(world.model(), mjOBJ_BODY, fmt::format("cup{}", cup).c_str());
  const mjtNum* at = world.data()->xpos + 3 * body;
  const Vec3 knob = {at[0], at[1], at[2] + ShellGame::kGripHeight};
  const Action action = knob_.Act(world, knob, {knob[0], knob[1], ShellGame::kGripHeight + kLift});
  label_.waypoint = knob_.waypoint();
  return action;
}

}  // namespace kvla
