// SPDX-License-Identifier: Apache-2.0
#include "harness/episode/policy_io.h"

#include <algorithm>
#include <cmath>

#include "sim/arm.h"

namespace kvla {

std::array<float, kProprioDim> ProprioVector(const std::array<double, 3>& position,
                                             const std::array<double, 4>& quaternion,
                                             double gripper_width) {
  const std::array<double, 3> rotation = RotationVector(kGripperDown, quaternion);
  std::array<float, kProprioDim> proprio{};
  for (size_t i = 0; i < 3; ++i) {
    proprio[i] = static_cast<float>(position[i]);
    proprio[3 + i] = static_cast<float>(rotation[i]);
  }
  proprio[6] = static_cast<float>(gripper_width);
  return proprio;
}

std::array<float, kTargetDim> AbsoluteTarget(const Pose& ee, const Action& action) {
  std::array<float, kTargetDim> target{};
  std::array<double, 3> turn{};
  for (size_t i = 0; i < 3; ++i) {
    const double move = std::clamp<double>(action.value[i], -1, 1) * kMaxDeltaPosition;
    target[i] = static_cast<float>(ee.position[i] + move);
    turn[i] = std::clamp<double>(action.value[3 + i], -1, 1) * kMaxDeltaRotation;
  }
  const std::array<double, 3> rotation = RotationVector(kGripperDown, Rotate(ee.quaternion, turn));
  for (size_t i = 0; i < 3; ++i) target[3 + i] = static_cast<float>(rotation[i]);
  target[6] = action.value[6];
  return target;
}

Action ActionForTarget(const Pose& current, const std::array<double, 3>& position,
                       const std::array<double, 3>& rotation, float grip) {
  Pose target;
  target.position = position;
  target.quaternion = Rotate(kGripperDown, rotation);
  return ActionTowards(current, target, grip);
}

FrameInput MakeFrameInput(const std::vector<Image>& images, const Proprioception& proprio) {
  FrameInput input;
  for (const Image& image : images) input.images.emplace_back(image.rgb);
  input.proprio = ProprioVector(proprio.ee.position, proprio.ee.quaternion, proprio.gripper_width);
  return input;
}

Action ActionChunk::Next(const Pose& ee) {
  const std::array<float, kTargetDim>& target = targets[std::min(next++, targets.size() - 1)];
  return ActionForTarget(ee, {origin[0] + target[0], origin[1] + target[1], origin[2] + target[2]},
                         {target[3], target[4], target[5]}, target[6]);
}

std::vector<std::pair<int, int>> CueBlocks(const std::vector<CueInterval>& cues, int replan_steps,
                                           int inferences) {
  const double period = replan_steps * kControlPeriod;
  std::vector<std::pair<int, int>> blocks;
  for (const CueInterval& cue : cues) {
    // An image taken at t shows what is lit in [begin, end).
    const int begin = static_cast<int>(std::ceil(cue.begin_s / period - 1e-6));
    const int end = std::min(static_cast<int>(std::ceil(cue.end_s / period - 1e-6)), inferences);
    if (begin < end) blocks.emplace_back(begin, end);
  }
  return blocks;
}

}  // namespace kvla
