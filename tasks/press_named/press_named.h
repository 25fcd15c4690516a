// A control: the instruction names the colour of the button to press when a chore ends. Needs no
// memory of what was seen; a lamp flashes other colours meanwhile.
#ifndef KVLA_TASKS_PRESS_NAMED_PRESS_NAMED_H_
#define KVLA_TASKS_PRESS_NAMED_PRESS_NAMED_H_

#include <filesystem>
#include <memory>

#include "tasks/chore.h"
#include "tasks/tabletop.h"
#include "tasks/task.h"

namespace kvla {

class PressNamed : public Task {
 public:
  explicit PressNamed(const std::filesystem::path& asset_root);

  const TaskInfo& info() const override { return info_; }
  std::filesystem::path scene() const override { return scene_; }
  Result<Scenario> Draw(const EpisodeKey& key) const override;
  Result<Scenario> Place(World& world, const EpisodeKey& key) const override;
  void Update(World& world, const Scenario& scenario) const override;
  Progress Evaluate(const World& world, const Scenario& scenario) const override;
  std::unique_ptr<Expert> MakeExpert(const Scenario& scenario, bool blind, Rng rng) const override;

  static constexpr int kSlots = 4;
  static Vec3 SlotPlace(int slot);

  // Layout of Scenario::params: control steps, colours of the slots, then the distractor flashes.
  enum Param : size_t {
    kLampBegin,  // the lamp is lit in [kLampBegin, kLampBegin + kFlashSteps), which means nothing
    kLampColor,
    kGo,          // the lamp is white from here on
    kChores,      // transfers that must be done by then
    kFirstPlace,  // where the block starts: 0 tray, 1 pad
    kSlotColor,   // kSlots numbers
    kFlashes = kSlotColor + kSlots,
  };

  // Layout of mjData.userdata after the chore's.
  enum Memory : size_t {
    kTransfersAtGo = kChoreMemorySize,  // -1 before
    kPressed,                           // 1 + slot of the first button pressed, 0 none
    kPressStep,                         // control step of that press
    kDown,                              // see NewlyPressed()
    kMemorySize,
  };

 private:
  TaskInfo info_;
  std::filesystem::path scene_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_PRESS_NAMED_PRESS_NAMED_H_
