// The scripted demonstrator of repeat_sequence.
#ifndef KVLA_TASKS_REPEAT_SEQUENCE_REPEAT_SEQUENCE_EXPERT_H_
#define KVLA_TASKS_REPEAT_SEQUENCE_REPEAT_SEQUENCE_EXPERT_H_

#include <array>

#include "tasks/chore.h"
#include "tasks/repeat_sequence/repeat_sequence.h"
#include "tasks/skills.h"
#include "tasks/task.h"

namespace kvla {

class RepeatSequenceExpert : public Expert {
 public:
  // `blind`: presses in an order that it guesses from `rng`.
  RepeatSequenceExpert(const Scenario& scenario, bool blind, Rng rng);

  Action Act(const World& world) override;
  ExpertLabel Label() const override { return label_; }

 private:
  // The button that is lit now, -1 none.
  int LitAt(int step) const;

  Scenario scenario_;
  ChoreSkill chore_;
  PressSkill press_;
  std::array<int, RepeatSequence::kButtons> order_{};
  bool free_ = false;  // after go: the gripper has let go of the block
  ExpertLabel label_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_REPEAT_SEQUENCE_REPEAT_SEQUENCE_EXPERT_H_
