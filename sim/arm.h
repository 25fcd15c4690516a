// SPDX-License-Identifier: Apache-2.0
// Cartesian control of the Panda: end-effector deltas in, position-servo targets out.
#ifndef KVLA_SIM_ARM_H_
#define KVLA_SIM_ARM_H_

#include <mujoco/mujoco.h>

#include <array>

#include "base/status.h"
#include "sim/specs.h"

namespace kvla {

// Holds no state of its own between control steps: what it commands depends on the physics state
// and the action alone, so that restoring the physics restores the controller too.
// Not thread-safe; borrows the model and data, which must outlive it.
class Arm {
 public:
  static constexpr int kJoints = 7;
  static constexpr int kMaxDofs = 256;  // of the whole scene

  // Finds the Panda of sim/models/panda.xml in `model`. BadInput names what is missing.
  static Result<Arm> Find(const mjModel* model);

  // Puts the arm into its home configuration, at rest, gripper open, servos holding it.
  void GoHome(mjData* data) const;

  // Pose of the pinch point between the fingertips, world frame.
  Pose EndEffector(const mjData* data) const;
  double GripperWidth(const mjData* data) const;
  Proprioception Proprio(const mjData* data) const;

  // Begins a control step: end-effector goal = current pose + delta, clamped to the workspace.
  void Begin(mjData* data, const Action& action);
  // The goal is fixed for the control step; the way to it is solved anew every few physics steps.
  // Sets data->ctrl for physics step `substep` of kSubsteps of this control step.
  void Apply(mjData* data, int substep);

  // The box that goals are clamped to, metres.
  static constexpr std::array<double, 3> kWorkspaceLow = {0.20, -0.50, 0.005};
  static constexpr std::array<double, 3> kWorkspaceHigh = {0.75, 0.50, 0.60};

 private:
  Arm() = default;
  // Joint offsets that move the end effector by `twist` (metres, radians): damped least squares,
  // what is left of the freedom drawn to the home posture.
  std::array<double, kJoints> SolveTwist(const mjData* data, const double twist[6]) const;

  const mjModel* model_ = nullptr;
  int ee_site_ = -1;
  int gripper_actuator_ = -1;
  std::array<int, kJoints> joint_{};     // joint ids
  std::array<int, kJoints> actuator_{};  // position actuators, one a joint
  std::array<int, 2> finger_{};          // joint ids of the slides

  // Valid within one control step.
  Pose goal_;
  int solved_at_ = 0;                       // substep of the last solution
  std::array<double, kJoints> start_{};     // joint positions then
  std::array<double, kJoints> velocity_{};  // rad/s towards the goal
};

// Small rotation helpers, all with (w x y z) unit quaternions.
std::array<double, 3> RotationVector(const std::array<double, 4>& from,
                                     const std::array<double, 4>& to);  // exp(r) * from = to
std::array<double, 4> Rotate(const std::array<double, 4>& from, const std::array<double, 3>& r);

// The action that moves the end effector from `current` to `target` in one control step,
// clipped to the action's range. `grip` in [-1, 1].
Action ActionTowards(const Pose& current, const Pose& target, float grip);

}  // namespace kvla

#endif  // KVLA_SIM_ARM_H_
