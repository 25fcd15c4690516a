// The scripted demonstrator of count_presses.
#ifndef KVLA_TASKS_COUNT_PRESSES_COUNT_PRESSES_EXPERT_H_
#define KVLA_TASKS_COUNT_PRESSES_COUNT_PRESSES_EXPERT_H_

#include "tasks/chore.h"
#include "tasks/skills.h"
#include "tasks/task.h"

namespace kvla {

class CountPressesExpert : public Expert {
 public:
  // `blind`: presses as often as it guesses from `rng`.
  CountPressesExpert(const Scenario& scenario, bool blind, Rng rng);

  Action Act(const World& world) override;
  ExpertLabel Label() const override { return label_; }

 private:
  void SetLabel(const World& world);
  Action Press(const World& world);
  Action Pull(const World& world);

  Scenario scenario_;
  ChoreSkill chore_;
  PressSkill press_;
  int count_ = 0;         // presses to make
  int seen_ = 0;          // presses made when the hand last looked
  bool free_ = false;     // after go: the gripper has let go of the block
  bool rising_ = false;   // from a press
  bool pulling_ = false;  // the fingers are behind the lever
  ExpertLabel label_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_COUNT_PRESSES_COUNT_PRESSES_EXPERT_H_
