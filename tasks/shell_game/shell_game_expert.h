// The scripted demonstrator of shell_game.
#ifndef KVLA_TASKS_SHELL_GAME_SHELL_GAME_EXPERT_H_
#define KVLA_TASKS_SHELL_GAME_SHELL_GAME_EXPERT_H_

#include "tasks/chore.h"
#include "tasks/skills.h"
#include "tasks/task.h"

namespace kvla {

class ShellGameExpert : public Expert {
 public:
  // `blind`: lifts the cup over a slot that it guesses from `rng`.
  ShellGameExpert(const Scenario& scenario, bool blind, Rng rng);

  Action Act(const World& world) override;
  ExpertLabel Label() const override { return label_; }

 private:
  // Slot that the image of control step `step` is about: where the ball is shown, where a swap
  // brings it; -1 none.
  int Shown(int step) const;

  Scenario scenario_;
  Rng rng_;
  int slot_;  // to lift
  ChoreSkill chore_;
  KnobSkill knob_;
  bool free_ = false;  // after go: the gripper has let go of the block
  ExpertLabel label_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_SHELL_GAME_SHELL_GAME_EXPERT_H_
