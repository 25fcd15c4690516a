// SPDX-License-Identifier: Apache-2.0
// The states of a stored episode: as they were stored, or by simulating its actions again.
#ifndef KVLA_HARNESS_EPISODE_EPISODE_STATES_H_
#define KVLA_HARNESS_EPISODE_EPISODE_STATES_H_

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "results/trace/trace.h"
#include "sim/world.h"
#include "tasks/disturbance.h"
#include "tasks/task.h"

namespace kvla {

// A stored episode in a world, for drawing it. Not thread-safe.
class EpisodeStates {
 public:
  // Places `world`, made from the task's scene, as the episode began, and finds its states. What a
  // person did to a live episode's bodies is done again. BadInput: its trace holds no actions.
  // InternalError: the actions lead to another end than the one on record (another machine, build
  // or MuJoCo). `task` is the episode's, see IsTaskOf(); it and `world` must outlive it.
  static Result<std::unique_ptr<EpisodeStates>> Make(const EpisodeRecord& record, const Task& task,
                                                     World* world);

  // 0 is the placement, i the state after i control steps.
  int count() const { return static_cast<int>(states_.size()); }
  const std::vector<double>& state(int i) const { return states_[static_cast<size_t>(i)]; }
  // True: simulated again, and it ended with the hash on record. False: as stored.
  bool simulated() const { return simulated_; }

  // Brings the world there, colours included.
  Status Show(int i);

 private:
  EpisodeStates(const Task& task, World* world) : task_(task), world_(world) {}
  Status Simulate(const EpisodeRecord& record);
  Status Obey(const CommandEvent& command);

  const Task& task_;
  World* world_;
  EpisodeId id_;
  Scenario scenario_;
  std::unique_ptr<Disturbance> disturbance_;  // cameras and light stay shifted
  std::vector<std::vector<double>> states_;
  bool simulated_ = false;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_EPISODE_EPISODE_STATES_H_
