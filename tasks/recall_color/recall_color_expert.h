// The scripted demonstrator of recall_color.
#ifndef KVLA_TASKS_RECALL_COLOR_RECALL_COLOR_EXPERT_H_
#define KVLA_TASKS_RECALL_COLOR_RECALL_COLOR_EXPERT_H_

#include "tasks/tabletop.h"
#include "tasks/task.h"

namespace kvla {

class RecallColorExpert : public Expert {
 public:
  // `blind`: presses a button that it guesses from `rng`.
  RecallColorExpert(const Scenario& scenario, bool blind, Rng rng);

  Action Act(const World& world) override;
  ExpertLabel Label() const override { return label_; }

 private:
  Action Press(const World& world);

  Scenario scenario_;
  int slot_ = 0;  // to press
  Rng rng_;
  CarrySkill carry_;
  int transfer_ = -1;                    // that destination_ was drawn for
  std::array<double, 2> destination_{};  // of the block
  bool free_ = false;                    // after go: the gripper has let go of the block
  bool over_ = false;                    // the button is below
  ExpertLabel label_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_RECALL_COLOR_RECALL_COLOR_EXPERT_H_
