// SPDX-License-Identifier: Apache-2.0
// A chore goes on while a lamp shows a colour for half a second; long after, the button of that
// colour must be pressed.
#ifndef KVLA_TASKS_RECALL_COLOR_RECALL_COLOR_H_
#define KVLA_TASKS_RECALL_COLOR_RECALL_COLOR_H_

#include <filesystem>

#include "tasks/press_task.h"

namespace kvla {

class RecallColor : public PressTask {
 public:
  RecallColor(const std::filesystem::path& asset_root, const TaskOptions& options);

  // Layout of Scenario::params: control steps, colours of the slots, then the distractor flashes.
  enum Param : size_t {
    kCueBegin,  // the cue lamp is lit in [kCueBegin, kCueEnd)
    kCueEnd,
    kGo,          // see ChoreLayout
    kChores,      // likewise
    kFirstPlace,  // likewise
    kSlotColor,   // kRowOfFour numbers
    kFlashes = kSlotColor + kRowOfFour,
  };

  // Layout of mjData.userdata: what the script remembers.
  enum Memory : size_t {
    kPressed,    // 1 + slot of the first button pressed, 0 none
    kPressStep,  // control step of that press
    kChore,      // see ChoreMemory
    kTransfersAtGo = size_t{kChore} + kChoreMemorySize,
    kMemorySize,
  };

 private:
  void DrawEpisode(Rng& rng, Scenario* scenario) const override;
  void Show(World& world, const Scenario& scenario, bool go) const override;
  void PlaceWork(World& world, Rng& rng, const Scenario& scenario) const override;
};

}  // namespace kvla

#endif  // KVLA_TASKS_RECALL_COLOR_RECALL_COLOR_H_
