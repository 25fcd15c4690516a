// The scripted demonstrator of press_named.
#ifndef KVLA_TASKS_PRESS_NAMED_PRESS_NAMED_EXPERT_H_
#define KVLA_TASKS_PRESS_NAMED_PRESS_NAMED_EXPERT_H_

#include "tasks/chore.h"
#include "tasks/skills.h"
#include "tasks/task.h"

namespace kvla {

class PressNamedExpert : public Expert {
 public:
  // `blind`: does not know the instruction and guesses a colour from `rng`.
  PressNamedExpert(const Scenario& scenario, bool blind, Rng rng);

  Action Act(const World& world) override;
  ExpertLabel Label() const override { return label_; }

 private:
  Scenario scenario_;
  ChoreExpert chore_;
  PressSkill press_;
  Vec3 button_{};      // to press
  bool free_ = false;  // after go: the gripper has let go of the block
  ExpertLabel label_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_PRESS_NAMED_PRESS_NAMED_EXPERT_H_
