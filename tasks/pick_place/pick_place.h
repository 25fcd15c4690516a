// SPDX-License-Identifier: Apache-2.0
// Control task: put the block on the tray. Nothing has to be remembered; the lights mean nothing.
#ifndef KVLA_TASKS_PICK_PLACE_PICK_PLACE_H_
#define KVLA_TASKS_PICK_PLACE_PICK_PLACE_H_

#include <filesystem>
#include <memory>

#include "tasks/task.h"

namespace kvla {

class PickPlace : public Task {
 public:
  PickPlace(const std::filesystem::path& asset_root, const TaskOptions& options);

  const TaskInfo& info() const override { return info_; }
  const TaskOptions& options() const override { return options_; }
  std::filesystem::path scene() const override { return scene_; }
  Result<Scenario> Draw(const EpisodeKey& key) const override;
  Result<Scenario> Place(World& world, const EpisodeKey& key) const override;
  void Update(World& world, const Scenario& scenario) const override;
  Progress Evaluate(const World& world, const Scenario& scenario) const override;
  std::unique_ptr<Expert> MakeExpert(const Scenario& scenario, bool blind, Rng rng) const override;

  // Layout of mjData.userdata.
  enum Memory : size_t {
    kLifted,  // the block has been off the table
    kPlaced,  // and was then put down on the tray
    kMemorySize,
  };

 private:
  TaskOptions options_;
  TaskInfo info_;
  std::filesystem::path scene_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_PICK_PLACE_PICK_PLACE_H_
