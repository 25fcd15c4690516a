// A chore goes on while a lamp shows a colour for half a second; long after, the button of that
// colour must be pressed.
#ifndef KVLA_TASKS_RECALL_COLOR_RECALL_COLOR_H_
#define KVLA_TASKS_RECALL_COLOR_RECALL_COLOR_H_

#include <filesystem>
#include <memory>

#include "tasks/task.h"

namespace kvla {

class RecallColor : public Task {
 public:
  explicit RecallColor(const std::filesystem::path& asset_root);

  const TaskInfo& info() const override { return info_; }
  std::filesystem::path scene() const override { return scene_; }
  Result<Scenario> Draw(const EpisodeKey& key) const override;
  Result<Scenario> Place(World& world, const EpisodeKey& key) const override;
  void Update(World& world, const Scenario& scenario) const override;
  Progress Evaluate(const World& world, const Scenario& scenario) const override;
  std::unique_ptr<Expert> MakeExpert(const Scenario& scenario, bool blind, Rng rng) const override;

  static constexpr int kSlots = 4;
  static constexpr double kButtonX = 0.60;
  static constexpr double kButtonTop = 0.040;
  static double SlotY(int slot) { return -0.165 + 0.11 * slot; }

  // Layout of Scenario::params: control steps, colours of the slots, then the distractor flashes.
  enum Param : size_t {
    kCueBegin,  // the cue lamp is lit in [kCueBegin, kCueEnd)
    kCueEnd,
    kGo,          // the lamp is white from here on
    kChores,      // transfers that must be done by then
    kFirstPlace,  // where the block starts: 0 tray, 1 pad
    kSlotColor,   // kSlots numbers
    kFlashes = kSlotColor + kSlots,
  };

  // Layout of mjData.userdata: what the script remembers.
  enum Memory : size_t {
    kPressed,        // 1 + slot of the first button pressed, 0 none
    kPressStep,      // control step of that press
    kPlace,          // where the block rested last: 0 tray, 1 pad
    kTransfers,      // chores done
    kTransfersAtGo,  // chores done when the lamp turned white, -1 before
    kMemorySize,
  };

 private:
  TaskInfo info_;
  std::filesystem::path scene_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_RECALL_COLOR_RECALL_COLOR_H_
