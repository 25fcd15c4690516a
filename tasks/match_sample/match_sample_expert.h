// The scripted demonstrator of match_sample.
#ifndef KVLA_TASKS_MATCH_SAMPLE_MATCH_SAMPLE_EXPERT_H_
#define KVLA_TASKS_MATCH_SAMPLE_MATCH_SAMPLE_EXPERT_H_

#include "tasks/chore.h"
#include "tasks/skills.h"
#include "tasks/task.h"

namespace kvla {

class MatchSampleExpert : public Expert {
 public:
  // `blind`: presses a button that it guesses from `rng`.
  MatchSampleExpert(const Scenario& scenario, bool blind, Rng rng);

  Action Act(const World& world) override;
  ExpertLabel Label() const override { return label_; }

 private:
  Scenario scenario_;
  Rng rng_;
  int slot_;  // whose button to press
  ChoreSkill chore_;
  PressSkill press_;
  bool free_ = false;  // after go: the gripper has let go of the block
  ExpertLabel label_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_MATCH_SAMPLE_MATCH_SAMPLE_EXPERT_H_
