// SPDX-License-Identifier: Apache-2.0
// The expert at work, for as long as one needs it, and what a policy would have seen.
#ifndef KVLA_HARNESS_BENCH_EXPERT_PLAY_H_
#define KVLA_HARNESS_BENCH_EXPERT_PLAY_H_

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "policy/policy.h"
#include "sim/specs.h"
#include "sim/world.h"
#include "tasks/task.h"

namespace kvla {

// Plays episodes of the task's first delay, one after the other, until `before_step` (called with
// the control steps made so far) says false or fails. `world` must be of the task's scene.
Status PlayExpert(const Task& task, World& world,
                  const std::function<Result<bool>(int64_t steps)>& before_step);

// What a policy sees in those episodes, an inference after the other.
class ExpertFrames {
 public:
  // Renders `count` of them. BadInput: a scene without one of the policy's cameras.
  static Result<ExpertFrames> Record(const std::filesystem::path& asset_root,
                                     const std::string& task, const PolicySpec& policy, int count);
  // Begins anew behind the last one.
  const FrameInput& at(int index) const { return inputs_[index % inputs_.size()]; }

 private:
  std::vector<std::vector<Image>> images_;
  std::vector<FrameInput> inputs_;  // borrows images_
};

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_EXPERT_PLAY_H_
