// SPDX-License-Identifier: Apache-2.0
// The scripted demonstrator of shell_game.
#ifndef KVLA_TASKS_SHELL_GAME_SHELL_GAME_EXPERT_H_
#define KVLA_TASKS_SHELL_GAME_SHELL_GAME_EXPERT_H_

#include "tasks/chore_task.h"
#include "tasks/skills.h"

namespace kvla {

class ShellGameExpert : public ChoreExpert {
 public:
  // `blind`: lifts the cup over a slot that it guesses from `rng`.
  ShellGameExpert(const Scenario& scenario, bool blind, Rng rng);

 private:
  void LabelOf(const World& world, bool go, ExpertLabel* label) const override;
  Action AfterGo(const World& world, ExpertLabel* label) override;
  // Slot that the image of control step `step` is about: where the ball is shown, where a swap
  // brings it; -1 none.
  int Shown(int step) const;

  int slot_ = 0;  // to lift
  KnobSkill knob_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_SHELL_GAME_SHELL_GAME_EXPERT_H_
