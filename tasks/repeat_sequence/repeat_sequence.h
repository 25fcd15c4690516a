// SPDX-License-Identifier: Apache-2.0
// Button caps light up one after the other while a chore goes on; long after, they must be pressed
// in that order.
#ifndef KVLA_TASKS_REPEAT_SEQUENCE_REPEAT_SEQUENCE_H_
#define KVLA_TASKS_REPEAT_SEQUENCE_REPEAT_SEQUENCE_H_

#include <filesystem>
#include <memory>

#include "tasks/chore_task.h"

namespace kvla {

class RepeatSequence : public ChoreTask {
 public:
  RepeatSequence(const std::filesystem::path& asset_root, const TaskOptions& options);

  std::unique_ptr<Expert> MakeExpert(const Scenario& scenario, bool blind, Rng rng) const override;

  static constexpr int kButtons = 5;
  static Vec3 ButtonPlace(int button);

  // Layout of Scenario::params: control steps, then the distractor flashes.
  enum Param : size_t {
    kLength,                   // buttons in the sequence
    kOrder,                    // kButtons numbers: the first kLength are the sequence
    kLit = kOrder + kButtons,  // kButtons numbers: when each of them is lit, for kFlashSteps
    kGo = kLit + kButtons,     // see ChoreLayout
    kChores,                   // likewise
    kFirstPlace,               // likewise
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
  void DrawEpisode(Rng& rng, Scenario* scenario) const override;
  void Play(World& world, const Scenario& scenario, bool go) const override;
  Verdict Judge(const World& world, const Scenario& scenario) const override;
};

}  // namespace kvla

#endif  // KVLA_TASKS_REPEAT_SEQUENCE_REPEAT_SEQUENCE_H_
