// A shape stands on the lamp for a moment; later four shapes come out in a shuffled line-up, and
// the button in front of the one that was shown must be pressed.
#ifndef KVLA_TASKS_MATCH_SAMPLE_MATCH_SAMPLE_H_
#define KVLA_TASKS_MATCH_SAMPLE_MATCH_SAMPLE_H_

#include <filesystem>
#include <memory>

#include "tasks/chore.h"
#include "tasks/task.h"

namespace kvla {

class MatchSample : public Task {
 public:
  explicit MatchSample(const std::filesystem::path& asset_root);

  const TaskInfo& info() const override { return info_; }
  std::filesystem::path scene() const override { return scene_; }
  Result<Scenario> Draw(const EpisodeKey& key) const override;
  Result<Scenario> Place(World& world, const EpisodeKey& key) const override;
  void Update(World& world, const Scenario& scenario) const override;
  Progress Evaluate(const World& world, const Scenario& scenario) const override;
  std::unique_ptr<Expert> MakeExpert(const Scenario& scenario, bool blind, Rng rng) const override;

  static constexpr int kShapes = 4;  // ball, post, bar, cross; and as many slots
  static constexpr double kButtonX = 0.60;
  static constexpr double kButtonTop = 0.040;
  static double SlotY(int slot) { return -0.165 + 0.11 * slot; }
  // Target classes: first the slots, between which the press decides, then the shapes of the cue.
  static int ShapeClass(int shape) { return kShapes + shape; }

  // Layout of Scenario::params: control steps, slots, then the distractor flashes.
  enum Param : size_t {
    kCueBegin,  // the sample is shown in [kCueBegin, kCueEnd)
    kCueEnd,
    kLineUp,      // the line-up is there from here on
    kGo,          // the lamp is white from here on
    kChores,      // transfers that must be done by then
    kFirstPlace,  // where the block starts: 0 tray, 1 pad
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
  TaskInfo info_;
  std::filesystem::path scene_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_MATCH_SAMPLE_MATCH_SAMPLE_H_
