// SPDX-License-Identifier: Apache-2.0
// Episodes of the expert, undisturbed, with somebody looking on through the policy's cameras.
#ifndef KVLA_HARNESS_CERTIFY_EXPERT_WATCH_H_
#define KVLA_HARNESS_CERTIFY_EXPERT_WATCH_H_

#include <functional>
#include <memory>
#include <vector>

#include "base/status.h"
#include "sim/renderer.h"
#include "sim/world.h"
#include "tasks/task.h"

namespace kvla {

// Called before every control step, with what the expert knows there; false ends the episode.
using LookFn = std::function<Result<bool>(const Scenario&, int step, const ExpertLabel&)>;

// A task's world and its cameras. For one thread, that on which it was made: it owns a GL context.
class ExpertWatch {
 public:
  // `task` must outlive it. Images are `image_size` pixels square.
  static Result<std::shared_ptr<ExpertWatch>> Create(const Task& task, int image_size);

  // Plays until `look` ends it, the task is done, its horizon is over or the world diverges.
  Status Play(const EpisodeKey& key, const LookFn& look);
  // What each of the policy's cameras shows now.
  Status Look(std::vector<Image>* images);
  const World& world() const { return *world_; }

 private:
  ExpertWatch(const Task& task, int image_size) : task_(task), image_size_(image_size) {}

  const Task& task_;
  int image_size_;
  std::unique_ptr<World> world_;
  std::unique_ptr<Renderer> renderer_;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_CERTIFY_EXPERT_WATCH_H_
