// A lamp blinks a few times while a chore goes on; long after, the button must be pressed as often,
// and then the lever pulled.
#ifndef KVLA_TASKS_COUNT_PRESSES_COUNT_PRESSES_H_
#define KVLA_TASKS_COUNT_PRESSES_COUNT_PRESSES_H_

#include <filesystem>
#include <memory>

#include "tasks/chore.h"
#include "tasks/tabletop.h"
#include "tasks/task.h"

namespace kvla {

class CountPresses : public Task {
 public:
  explicit CountPresses(const std::filesystem::path& asset_root);

  const TaskInfo& info() const override { return info_; }
  std::filesystem::path scene() const override { return scene_; }
  Result<Scenario> Draw(const EpisodeKey& key) const override;
  Result<Scenario> Place(World& world, const EpisodeKey& key) const override;
  void Update(World& world, const Scenario& scenario) const override;
  Progress Evaluate(const World& world, const Scenario& scenario) const override;
  std::unique_ptr<Expert> MakeExpert(const Scenario& scenario, bool blind, Rng rng) const override;

  static constexpr int kMostBlinks = 4;
  static Vec3 ButtonPlace();
  static Vec3 LeverPlace();  // where a hand pulls it, upright

  // Layout of Scenario::params: control steps, then the distractor flashes.
  enum Param : size_t {
    kCount,                          // blinks
    kBlinks,                         // kMostBlinks numbers: when each begins; it lasts kFlashSteps
    kColor = kBlinks + kMostBlinks,  // of the blinks, which means nothing
    kGo,                             // the lamp is white from here on
    kChores,                         // transfers that must be done by then
    kFirstPlace,                     // where the block starts: 0 tray, 1 pad
    kFlashes,
  };

  // Layout of mjData.userdata after the chore's.
  enum Memory : size_t {
    kTransfersAtGo = kChoreMemorySize,  // -1 before
    kPresses,                           // made after go
    kEarly,                             // 1: button or lever was moved before go
    kPulled,                            // 1: the lever was pulled after go
    kDown,                              // see NewlyPressed()
    kMemorySize,
  };

 private:
  TaskInfo info_;
  std::filesystem::path scene_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_COUNT_PRESSES_COUNT_PRESSES_H_
