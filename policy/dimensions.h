// SPDX-License-Identifier: Apache-2.0
// Sizes of what every policy reads of the robot and says to it.
#ifndef KVLA_POLICY_DIMENSIONS_H_
#define KVLA_POLICY_DIMENSIONS_H_

namespace kvla {

// End-effector position [m, world], rotation vector relative to gripper-down [rad], width [m].
inline constexpr int kProprioDim = 7;
// Target position [m], rotation vector relative to gripper-down [rad], gripper -1 open, +1 close.
inline constexpr int kTargetDim = 7;

}  // namespace kvla

#endif  // KVLA_POLICY_DIMENSIONS_H_
