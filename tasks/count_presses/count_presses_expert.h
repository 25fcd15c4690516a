// SPDX-License-Identifier: Apache-2.0
// The scripted demonstrator of count_presses.
#ifndef KVLA_TASKS_COUNT_PRESSES_COUNT_PRESSES_EXPERT_H_
#define KVLA_TASKS_COUNT_PRESSES_COUNT_PRESSES_EXPERT_H_

#include "tasks/chore_task.h"
#include "tasks/skills.h"

namespace kvla {

class CountPressesExpert : public ChoreExpert {
 public:
  // `blind`: presses as often as it guesses from `rng`.
  CountPressesExpert(const Scenario& scenario, bool blind, Rng rng);

 private:
  void LabelOf(const World& world, bool go, ExpertLabel* label) const override;
  Action AfterGo(const World& world, ExpertLabel* label) override;
  Action Press(const World& world, ExpertLabel* label);
  Action Pull(const World& world, ExpertLabel* label);

  PressSkill press_;
  int count_ = 0;         // presses to make
  int seen_ = 0;          // presses made when the hand last looked
  bool rising_ = false;   // from a press
  bool pulling_ = false;  // the fingers are behind the lever
};

}  // namespace kvla

#endif  // KVLA_TASKS_COUNT_PRESSES_COUNT_PRESSES_EXPERT_H_
