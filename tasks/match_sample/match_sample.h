// SPDX-License-Identifier: Apache-2.0
// A shape stands on the lamp for a moment; later four shapes come out in a shuffled line-up, and
// the button in front of the one that was shown must be pressed.
#ifndef KVLA_TASKS_MATCH_SAMPLE_MATCH_SAMPLE_H_
#define KVLA_TASKS_MATCH_SAMPLE_MATCH_SAMPLE_H_

#include <filesystem>

#include "tasks/press_task.h"

namespace kvla {

class MatchSample : public PressTask {
 public:
  MatchSample(const std::filesystem::path& asset_root, const TaskOptions& options);

  static constexpr int kShapes = 4;  // ball, post, bar, cross; and as many slots
  static double SlotY(int slot) { return -0.165 + 0.11 * slot; }
  // Target classes: first the slots, between which the press decides, then the shapes of the cue.
  static int ShapeClass(int shape) { return kShapes + shape; }

  // Layout of Scenario::params: control steps, slots, then the distractor flashes.
  enum Param : size_t {
    kCueBegin,  // the sample is shown in [kCueBegin, kCueEnd)
    kCueEnd,
    kLineUp,      // the line-up is there from here on
    kGo,          // see ChoreLayout
    kChores,      // likewise
    kFirstPlace,  // likewise
    kShown,       // the shape that is shown
    kSlotOf,      // kShapes numbers: slot of each shape
    kFlashes = kSlotOf + kShapes,
  };

  // Layout of mjData.userdata after the chore's: what the script remembers.
  enum Memory : size_t {
    kPressed = kChoreMemorySize,  // 1 + slot of the first button pressed, 0 none
    kPressStep,                   // control step of that press
    kTransfersAtGo,               // chores done when the lamp turned white, -1 before
    kMemorySize,
  };

 private:
  void DrawEpisode(Rng& rng, Scenario* scenario) const override;
  void Show(World& world, const Scenario& scenario, bool go) const override;
  int CueClass(const Scenario& scenario) const override;
};

}  // namespace kvla

#endif  // KVLA_TASKS_MATCH_SAMPLE_MATCH_SAMPLE_H_
