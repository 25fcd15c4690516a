// SPDX-License-Identifier: Apache-2.0
// Between the robot's conventions and the policy's: one place for both training and inference.
#ifndef KVLA_HARNESS_EPISODE_POLICY_IO_H_
#define KVLA_HARNESS_EPISODE_POLICY_IO_H_

#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include "policy/compact/training/demo_source.h"
#include "policy/compact/vla.h"
#include "sim/specs.h"
#include "tasks/task.h"

namespace kvla {

// [position (m, world), rotation vector relative to gripper-down (rad), gripper width (m)].
std::array<float, kProprioDim> ProprioVector(const std::array<double, 3>& position,
                                             const std::array<double, 4>& quaternion,
                                             double gripper_width);

// The absolute pose that `action` asks for from `ee`: [position (m, world), rotation vector
// relative to gripper-down (rad), grip].
std::array<float, kTargetDim> AbsoluteTarget(const Pose& ee, const Action& action);

// The action that moves from `current` to an absolute target in one control step, clipped.
Action ActionForTarget(const Pose& current, const std::array<double, 3>& position,
                       const std::array<double, 3>& rotation, float grip);

// What the policy reads. `images`: one a camera, in the policy's order; must outlive the input.
FrameInput MakeFrameInput(const std::vector<Image>& images, const Proprioception& proprio);

// The targets of one inference, which the arm follows a control step at a time.
struct ActionChunk {
  std::array<double, 3> origin{};  // end effector at the inference (m, world)
  std::vector<std::array<float, kTargetDim>> targets;
  size_t next = 0;

  // The action towards the next target, after the last one towards that again. REQUIRES: targets.
  Action Next(const Pose& ee);
};

// Half-open ranges of inferences that saw a cue, of an episode of `inferences` of them; cues that
// fell between two inferences are left out.
std::vector<std::pair<int, int>> CueBlocks(const std::vector<CueInterval>& cues, int replan_steps,
                                           int inferences);

}  // namespace kvla

#endif  // KVLA_HARNESS_EPISODE_POLICY_IO_H_
