// SPDX-License-Identifier: Apache-2.0
// The scripted demonstrator of search_drawers.
#ifndef KVLA_TASKS_SEARCH_DRAWERS_SEARCH_DRAWERS_EXPERT_H_
#define KVLA_TASKS_SEARCH_DRAWERS_SEARCH_DRAWERS_EXPERT_H_

#include <array>

#include "tasks/chore.h"
#include "tasks/search_drawers/search_drawers.h"
#include "tasks/skills.h"
#include "tasks/task.h"

namespace kvla {

// Of the drawers that it has not opened it takes the leftmost.
class SearchDrawersExpert : public Expert {
 public:
  // `blind`: searches drawers that it guesses from `rng`, without knowing what was opened.
  SearchDrawersExpert(const Scenario& scenario, bool blind, Rng rng);

  Action Act(const World& world) override;
  ExpertLabel Label() const override { return label_; }

 private:
  // Drawer to open in `round`, by what the script remembers.
  int Wanted(const World& world, int round) const;

  Scenario scenario_;
  Rng rng_;
  std::array<int, SearchDrawers::kRounds> guess_{};
  bool blind_;
  ChoreSkill chore_;
  KnobSkill knob_;
  int drawer_ = -1;       // being opened
  bool leaving_ = false;  // it was looked into: let go, rise
  ExpertLabel label_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_SEARCH_DRAWERS_SEARCH_DRAWERS_EXPERT_H_
