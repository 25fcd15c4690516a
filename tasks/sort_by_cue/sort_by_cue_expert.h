// The scripted demonstrator of sort_by_cue.
#ifndef KVLA_TASKS_SORT_BY_CUE_SORT_BY_CUE_EXPERT_H_
#define KVLA_TASKS_SORT_BY_CUE_SORT_BY_CUE_EXPERT_H_

#include <array>

#include "tasks/chore.h"
#include "tasks/sort_by_cue/sort_by_cue.h"
#include "tasks/task.h"

namespace kvla {

class SortByCueExpert : public Expert {
 public:
  // `blind`: puts the blocks asked for into two different bins that it guesses from `rng`.
  SortByCueExpert(const Scenario& scenario, bool blind, Rng rng);

  Action Act(const World& world) override;
  ExpertLabel Label() const override { return label_; }

 private:
  // Bin that lights up at control step `step`, -1 none.
  int Shown(int step) const;

  Scenario scenario_;
  Rng rng_;
  std::array<int, SortByCue::kBins> guess_ = {0, 1, 2, 3, 4};
  bool blind_;
  ChoreSkill chore_;
  int ask_ = -1;  // what carry_ is about
  CarrySkill carry_;
  std::array<double, 2> destination_{};
  ExpertLabel label_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_SORT_BY_CUE_SORT_BY_CUE_EXPERT_H_
