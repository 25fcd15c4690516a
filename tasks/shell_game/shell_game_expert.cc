// SPDX-License-Identifier: Apache-2.0
#include "tasks/shell_game/shell_game_expert.h"

#include "tasks/shell_game/shell_game.h"

namespace kvla {
namespace {

constexpr double kHover = 0.15;  // of the open gripper above the knobs
constexpr double kLift = 0.10;

}  // namespace

ShellGameExpert::ShellGameExpert(const Scenario& told, bool blind, Rng rng)
    : ChoreExpert(told, ShellGame::kLayout, rng), knob_(kHover) {
  const int guess = rng.UniformInt(ShellGame::kCups);
  slot_ = blind ? guess : told.target;
  WorkWith(rng);
}

int ShellGameExpert::Shown(int step) const {
  const auto& params = scenario().params;
  const int ball = static_cast<int>(params[ShellGame::kBall]);
  if (step >= params[ShellGame::kReveal] && step < params[ShellGame::kRevealEnd]) return ball;
  for (int i = 0; i < static_cast<int>(params[ShellGame::kNumSwaps]); ++i) {
    const int begin = static_cast<int>(params[ShellGame::kSwaps + 3 * static_cast<size_t>(i)]);
    const int end = begin + ShellGame::kSwapSteps;
    if (step >= begin + ShellGame::kSwapSteps / 2 && step < end) {
      return ShellGame::SlotAt(scenario(), ball, end);
    }
  }
  return -1;
}

void ShellGameExpert::LabelOf(const World& world, bool go, ExpertLabel* label) const {
  label->target = go ? scenario().target : Shown(world.control_steps());
  label->decision = go && world.data()->userdata[ShellGame::kLifted] == 0;
}

Action ShellGameExpert::AfterGo(const World& world, ExpertLabel* label) {
  const int cup = ShellGame::CupAt(scenario(), slot_, world.control_steps());
  const mjtNum* at = world.data()->xpos + 3 * world.Ids<CupIds>().cups[static_cast<size_t>(cup)];
  const Vec3 knob = {at[0], at[1], at[2] + ShellGame::kGripHeight};
  const Action action = knob_.Act(world, knob, {knob[0], knob[1], ShellGame::kGripHeight + kLift});
  label->waypoint = knob_.waypoint();
  return action;
}

}  // namespace kvla
