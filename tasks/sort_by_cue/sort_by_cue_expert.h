// SPDX-License-Identifier: Apache-2.0
// The scripted demonstrator of sort_by_cue.
#ifndef KVLA_TASKS_SORT_BY_CUE_SORT_BY_CUE_EXPERT_H_
#define KVLA_TASKS_SORT_BY_CUE_SORT_BY_CUE_EXPERT_H_

#include <array>

#include "tasks/chore_task.h"
#include "tasks/sort_by_cue/sort_by_cue.h"

namespace kvla {

class SortByCueExpert : public ChoreExpert {
 public:
  // `blind`: puts the blocks asked for into two different bins that it guesses from `rng`.
  SortByCueExpert(const Scenario& scenario, bool blind, Rng rng);

 private:
  void LabelOf(const World& world, bool go, ExpertLabel* label) const override;
  Action AfterGo(const World& world, ExpertLabel* label) override;
  bool Open(const World& world) const;  // a block is asked for
  // Of the block asked for, or the last one.
  int Color(const World& world) const;
  // Bin that lights up at control step `step`, -1 none.
  int Shown(int step) const;

  Rng rng_;
  std::array<int, SortByCue::kBins> guess_ = {0, 1, 2, 3, 4};
  bool blind_;
  int ask_ = -1;  // what carry_ is about
  CarrySkill carry_;
  std::array<double, 2> destination_{};
};

}  // namespace kvla

#endif  // KVLA_TASKS_SORT_BY_CUE_SORT_BY_CUE_EXPERT_H_
