// Button caps light up one after the other while a chore goes on; long after, they must be pressed
// in that order.
#ifndef KVLA_TASKS_REPEAT_SEQUENCE_REPEAT_SEQUENCE_H_
#define KVLA_TASKS_REPEAT_SEQUENCE_REPEAT_SEQUENCE_H_

#include <filesystem>
#include <memory>

#include "tasks/chore.h"
#include "tasks/tabletop.h"
#include "tasks/task.h"

namespace kvla {

class RepeatSequence : public Task {
 public:
  explicit RepeatSequence(const std::filesystem::path& asset_root);

  const TaskInfo& info() const override { return info_; }
  std::filesystem::path scene() const override { return scene_; }
  Result<Scenario> Draw(const EpisodeKey& key) const override;
  Result<Scenario> Place(World& world, const EpisodeKey& key) const override;
  void Update(World& world, const Scenario& scenario) const override;
  Progress Evaluate(const World& world, const Scenario& scenario) const override;
  std::unique_ptr<Expert> MakeExpert(const Scenario& scenario, bool blind, Rng rng) const override;

  static constexpr int kButtons = 5;
  static Vec3 ButtonPlace(int button);

  // Layout of Scenario::params: control steps, then the distractor flashes.
  enum Param : size_t {
    kLength,                   // buttons in the sequence
    kOrder,                    // kButtons numbers: the first kLength are the sequence
    kLit = kOrder + kButtons,  // kButtons numbers: when each of them is lit, for kFlashSteps
    kGo = kLit + kButtons,     // the lamp is white from here on
    kChores,                   // transfers that must be done by then
    kFirstPlace,               // where the block starts: 0 tray, 1 pad
    kFlashes,
  };

  // Layout of mjData.userdata after the chore's.
  enum Memory : size_t {
    kTransfersAtGo = kChoreMemorySize,  // -1 before
    kRight,                             // presses that were right so far
    kWrong,                             // 1: a wrong press was made, after go
    kEarly,                             // 1: a press was made before go
    kDown,                              // see NewlyPressed()
    kMemorySize,
  };

 private:
  TaskInfo info_;
  std::filesystem::path scene_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_REPEAT_SEQUENCE_REPEAT_SEQUENCE_H_
