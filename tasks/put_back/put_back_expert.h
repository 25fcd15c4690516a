// SPDX-License-Identifier: Apache-2.0
// The scripted demonstrator of put_back.
#ifndef KVLA_TASKS_PUT_BACK_PUT_BACK_EXPERT_H_
#define KVLA_TASKS_PUT_BACK_PUT_BACK_EXPERT_H_

#include <array>

#include "tasks/skills.h"
#include "tasks/tabletop.h"
#include "tasks/task.h"

namespace kvla {

class PutBackExpert : public Expert {
 public:
  // `blind`: takes the block away like the other, but puts it back on a pad guessed from `rng`.
  PutBackExpert(const Scenario& scenario, bool blind, Rng rng);

  Action Act(const World& world) override;
  ExpertLabel Label() const override { return label_; }

 private:
  Action PressLit(const World& world);

  Scenario scenario_;
  std::array<double, 2> tray_{}, pad_{};  // where to put the block
  CarrySkill carry_;
  PressSkill press_;
  bool carrying_ = false;  // has left the buttons for the block
  int pressed_ = 0;        // presses when the hand last looked
  bool rising_ = false;    // from a press
  ExpertLabel label_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_PUT_BACK_PUT_BACK_EXPERT_H_
