// SPDX-License-Identifier: Apache-2.0
// A lamp blinks a few times while a chore goes on; long after, the button must be pressed as often,
// and then the lever pulled.
#ifndef KVLA_TASKS_COUNT_PRESSES_COUNT_PRESSES_H_
#define KVLA_TASKS_COUNT_PRESSES_COUNT_PRESSES_H_

#include <filesystem>
#include <memory>

#include "tasks/chore_task.h"

namespace kvla {

class CountPresses : public ChoreTask {
 public:
  CountPresses(const std::filesystem::path& asset_root, const TaskOptions& options);

  std::unique_ptr<Expert> MakeExpert(const Scenario& scenario, bool blind, Rng rng) const override;

  static constexpr int kMostBlinks = 4;
  static Vec3 ButtonPlace();
  static Vec3 LeverPlace();  // where a hand pulls it, upright

  // Layout of Scenario::params: control steps, then the distractor flashes.
  enum Param : size_t {
    kCount,                          // blinks
    kBlinks,                         // kMostBlinks numbers: when each begins; it lasts kFlashSteps
    kColor = kBlinks + kMostBlinks,  // of the blinks, which means nothing
    kGo,                             // see ChoreLayout
    kChores,                         // likewise
    kFirstPlace,                     // likewise
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

  static constexpr ChoreLayout kLayout = {.go = kGo,
                                          .chores = kChores,
                                          .first_place = kFirstPlace,
                                          .flashes = kFlashes,
                                          .go_seconds = {24, 36, 94, 180},
                                          .transfers_at_go = kTransfersAtGo,
                                          .memory = kMemorySize};

 private:
  void DrawEpisode(Rng& rng, Scenario* scenario) const override;
  void Play(World& world, const Scenario& scenario, bool go) const override;
  Verdict Judge(const World& world, const Scenario& scenario) const override;
};

}  // namespace kvla

#endif  // KVLA_TASKS_COUNT_PRESSES_COUNT_PRESSES_H_
