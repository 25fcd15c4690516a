// SPDX-License-Identifier: Apache-2.0
// A control: the instruction names the colour of the button to press when a chore ends. Needs no
// memory of what was seen; a lamp flashes other colours meanwhile.
#ifndef KVLA_TASKS_PRESS_NAMED_PRESS_NAMED_H_
#define KVLA_TASKS_PRESS_NAMED_PRESS_NAMED_H_

#include <filesystem>

#include "tasks/press_task.h"

namespace kvla {

class PressNamed : public PressTask {
 public:
  PressNamed(const std::filesystem::path& asset_root, const TaskOptions& options);

  // Layout of Scenario::params: control steps, colours of the slots, then the distractor flashes.
  enum Param : size_t {
    kLampBegin,  // the lamp is lit in [kLampBegin, kLampBegin + kFlashSteps), which means nothing
    kLampColor,
    kGo,          // see ChoreLayout
    kChores,      // likewise
    kFirstPlace,  // likewise
    kSlotColor,   // kRowOfFour numbers
    kFlashes = kSlotColor + kRowOfFour,
  };

  // Layout of mjData.userdata after the chore's.
  enum Memory : size_t {
    kTransfersAtGo = kChoreMemorySize,
    kPressed,    // 1 + slot of the first button pressed, 0 none
    kPressStep,  // control step of that press
    kDown,       // see NewlyPressed(); part of recorded states
    kMemorySize,
  };

 private:
  void DrawEpisode(Rng& rng, Scenario* scenario) const override;
  void Show(World& world, const Scenario& scenario, bool go) const override;
};

}  // namespace kvla

#endif  // KVLA_TASKS_PRESS_NAMED_PRESS_NAMED_H_
