// SPDX-License-Identifier: Apache-2.0
#include "sim/arm.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace kvla {
namespace {

// At this posture the pinch point is at about (0.40, 0, 0.20) and the hand points down.
constexpr std::array<double, Arm::kJoints> kHome = {0, -0.130, 0, -2.620, 0, 2.490, 0.785398};
constexpr double kMaxJointSpeed = 2.175;  // rad/s, the slowest joints' published limit
constexpr double kDamping = 0.02;         // of the least squares
constexpr double kPostureGain = 0.05;
constexpr int kSolveEvery = 5;  // physics steps between two solutions of the inverse kinematics
constexpr double kOpenHalfWidth = 0.04;

}  // namespace

Result<Arm> Arm::Find(const mjModel* model) {
  Arm arm;
  arm.model_ = model;
  std::string missing;
  auto find = [&](int type, const std::string& name) {
    const int id = mj_name2id(model, type, name.c_str());
    if (id < 0 && missing.empty()) missing = name;
    return id;
  };
  for (int i = 0; i < kJoints; ++i) {
    arm.joint_[i] = find(mjOBJ_JOINT, fmt::format("joint{}", i + 1));
    arm.actuator_[i] = find(mjOBJ_ACTUATOR, fmt::format("servo{}", i + 1));
  }
  arm.finger_ = {find(mjOBJ_JOINT, "finger_left"), find(mjOBJ_JOINT, "finger_right")};
  arm.gripper_actuator_ = find(mjOBJ_ACTUATOR, "gripper");
  arm.ee_site_ = find(mjOBJ_SITE, "ee");
  if (!missing.empty()) {
    return BadInput(fmt::format(
        "the scene has no '{}': include sim/models/panda.xml, which defines the arm", missing));
  }
  if (model->nv > kMaxDofs) {
    return BadInput(fmt::format("the scene has {} degrees of freedom; at most {} are supported",
                                static_cast<int>(model->nv), kMaxDofs));
  }
  return arm;
}

void Arm::GoHome(mjData* data) const {
  for (int i = 0; i < kJoints; ++i) {
    data->qpos[model_->jnt_qposadr[joint_[i]]] = kHome[i];
    data->qvel[model_->jnt_dofadr[joint_[i]]] = 0;
    data->ctrl[actuator_[i]] = kHome[i];
  }
  for (int finger : finger_) {
    data->qpos[model_->jnt_qposadr[finger]] = kOpenHalfWidth;
    data->qvel[model_->jnt_dofadr[finger]] = 0;
  }
  data->ctrl[gripper_actuator_] = kOpenHalfWidth;
}

Pose Arm::EndEffector(const mjData* data) const {
  Pose pose;
  std::copy_n(data->site_xpos + 3 * ee_site_, 3, pose.position.begin());
  mju_mat2Quat(pose.quaternion.data(), data->site_xmat + 9 * ee_site_);
  return pose;
}

double Arm::GripperWidth(const mjData* data) const {
  return data->qpos[model_->jnt_qposadr[finger_[0]]] + data->qpos[model_->jnt_qposadr[finger_[1]]];
}

Proprioception Arm::Proprio(const mjData* data) const {
  Proprioception p;
  p.ee = EndEffector(data);
  p.gripper_width = GripperWidth(data);
  for (int i = 0; i < kJoints; ++i) {
    p.joint_positions[i] = data->qpos[model_->jnt_qposadr[joint_[i]]];
    p.joint_velocities[i] = data->qvel[model_->jnt_dofadr[joint_[i]]];
  }
  return p;
}

void Arm::Begin(mjData* data, const Action& action) {
  std::array<double, kActionDim> a;
  for (int i = 0; i < kActionDim; ++i) {
    // A NaN action would pass std::clamp; it is taken as "stay".
    const double v = action.value[i];
    a[i] = std::isfinite(v) ? std::clamp(v, -1.0, 1.0) : 0.0;
  }
  const Pose now = EndEffector(data);
  for (int i = 0; i < 3; ++i) {
    goal_.position[i] =
        std::clamp(now.position[i] + a[i] * kMaxDeltaPosition, kWorkspaceLow[i], kWorkspaceHigh[i]);
  }
  goal_.quaternion = Rotate(now.quaternion, {a[3] * kMaxDeltaRotation, a[4] * kMaxDeltaRotation,
                                             a[5] * kMaxDeltaRotation});
  data->ctrl[gripper_actuator_] = kOpenHalfWidth * 0.5 * (1 - a[6]);
}

void Arm::Apply(mjData* data, int substep) {
  if (substep % kSolveEvery == 0) {
    const Pose now = EndEffector(data);
    double twist[6];
    for (int i = 0; i < 3; ++i) twist[i] = goal_.position[i] - now.position[i];
    const auto r = RotationVector(now.quaternion, goal_.quaternion);
    std::copy(r.begin(), r.end(), twist + 3);
    const auto dq = SolveTwist(data, twist);
    const double seconds = (kSubsteps - substep) * kPhysicsTimestep;
    double fastest = 0;
    for (int i = 0; i < kJoints; ++i) {
      velocity_[i] = dq[i] / seconds;
      fastest = std::max(fastest, std::abs(velocity_[i]));
      start_[i] = data->qpos[model_->jnt_qposadr[joint_[i]]];
    }
    if (fastest > kMaxJointSpeed) {
      for (double& v : velocity_) v *= kMaxJointSpeed / fastest;
    }
    solved_at_ = substep;
  }
  const double elapsed = (substep + 1 - solved_at_) * kPhysicsTimestep;
  for (int i = 0; i < kJoints; ++i) {
    const int a = actuator_[i];
    // The servo's force is kp (ctrl - q) - kv qvel: leading the position by kv / kp seconds makes
    // it follow without lag.
    const double lead =
        -model_->actuator_biasprm[a * mjNBIAS + 2] / model_->actuator_gainprm[a * mjNGAIN + 0];
    data->ctrl[a] = start_[i] + velocity_[i] * (elapsed + lead);
  }
}

std::array<double, Arm::kJoints> Arm::SolveTwist(const mjData* data, const double twist[6]) const {
  // MuJoCo's Jacobian is 3 x nv; only the arm's columns matter. Find() has checked nv <= kMaxDofs.
  double jacp[3 * kMaxDofs], jacr[3 * kMaxDofs];
  mj_jacSite(model_, data, jacp, jacr, ee_site_);
  const int nv = static_cast<int>(model_->nv);
  double j[6][kJoints];
  for (int c = 0; c < kJoints; ++c) {
    const int dof = model_->jnt_dofadr[joint_[c]];
    for (int r = 0; r < 3; ++r) {
      j[r][c] = jacp[r * nv + dof];
      j[r + 3][c] = jacr[r * nv + dof];
    }
  }
  double gram[36];  // J J' + damping
  for (int r = 0; r < 6; ++r) {
    for (int c = 0; c < 6; ++c) {
      double sum = r == c ? kDamping * kDamping : 0;
      for (int k = 0; k < kJoints; ++k) sum += j[r][k] * j[c][k];
      gram[6 * r + c] = sum;
    }
  }
  mju_cholFactor(gram, 6, 1e-12);

  // dq = J+ (twist - J posture) + posture: the posture term moves in the null space only.
  std::array<double, kJoints> posture;
  for (int k = 0; k < kJoints; ++k) {
    posture[k] = kPostureGain * (kHome[k] - data->qpos[model_->jnt_qposadr[joint_[k]]]);
  }
  double rest[6], y[6];
  for (int r = 0; r < 6; ++r) {
    rest[r] = twist[r];
    for (int k = 0; k < kJoints; ++k) rest[r] -= j[r][k] * posture[k];
  }
  mju_cholSolve(y, gram, rest, 6);
  std::array<double, kJoints> dq = posture;
  for (int k = 0; k < kJoints; ++k) {
    for (int r = 0; r < 6; ++r) dq[k] += j[r][k] * y[r];
  }
  return dq;
}

std::array<double, 3> RotationVector(const std::array<double, 4>& from,
                                     const std::array<double, 4>& to) {
  double inverse[4], relative[4];
  std::array<double, 3> r;
  mju_negQuat(inverse, from.data());
  mju_mulQuat(relative, to.data(), inverse);
  mju_quat2Vel(r.data(), relative, 1);
  return r;
}

std::array<double, 4> Rotate(const std::array<double, 4>& from, const std::array<double, 3>& r) {
  const double angle = std::sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
  if (angle < 1e-12) return from;
  const double axis[3] = {r[0] / angle, r[1] / angle, r[2] / angle};
  double turn[4];
  std::array<double, 4> out;
  mju_axisAngle2Quat(turn, axis, angle);
  mju_mulQuat(out.data(), turn, from.data());
  mju_normalize4(out.data());
  return out;
}

Action ActionTowards(const Pose& current, const Pose& target, float grip) {
  Action action;
  const auto r = RotationVector(current.quaternion, target.quaternion);
  for (int i = 0; i < 3; ++i) {
    action.value[i] = static_cast<float>(
        std::clamp((target.position[i] - current.position[i]) / kMaxDeltaPosition, -1.0, 1.0));
    action.value[3 + i] = static_cast<float>(std::clamp(r[i] / kMaxDeltaRotation, -1.0, 1.0));
  }
  action.value[6] = grip;
  return action;
}

}  // namespace kvla
