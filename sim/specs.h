// SPDX-License-Identifier: Apache-2.0
// What goes into the simulated robot and what comes out. No MuJoCo here: units, frames and
// orders are said once, in this file.
#ifndef KVLA_SIM_SPECS_H_
#define KVLA_SIM_SPECS_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace kvla {

inline constexpr double kControlRateHz = 20;
inline constexpr double kPhysicsTimestep = 0.002;  // seconds
inline constexpr int kSubsteps = 25;               // physics steps per control step
inline constexpr double kControlPeriod = kPhysicsTimestep * kSubsteps;

inline constexpr int kActionDim = 7;
inline constexpr double kMaxDeltaPosition = 0.05;  // metres at an action of 1
inline constexpr double kMaxDeltaRotation = 0.5;   // radians at an action of 1

// One control step, in the convention of robosuite's OSC_POSE:
// [dx dy dz  rx ry rz  grip], each clipped to [-1, 1].
// dx dy dz: motion of the end effector along the world axes, 1 = 0.05 m.
// rx ry rz: rotation vector in the world frame, 1 = 0.5 rad; new = exp(r) * current.
// The delta is added to the pose that the end effector has when the step begins.
// grip: -1 opens the gripper, +1 closes it; in between the fingers go part of the way.
struct Action {
  std::array<float, kActionDim> value{};
};

// World frame: x away from the robot's base, y to its left, z up; the base stands at the origin.
struct Pose {
  std::array<double, 3> position{};              // metres
  std::array<double, 4> quaternion{1, 0, 0, 0};  // w x y z
};

// RGB8, row-major, row 0 is the top row: rgb[(row * width + column) * 3 + channel].
struct Image {
  std::string camera;
  int width = 0;
  int height = 0;
  std::vector<uint8_t> rgb;
};

struct Proprioception {
  Pose ee;                                   // pinch point between the fingertips
  double gripper_width = 0;                  // metres between the finger pads, 0 to 0.08
  std::array<double, 7> joint_positions{};   // radians
  std::array<double, 7> joint_velocities{};  // radians per second
};

// Pinhole model of a camera as it stands now. The camera frame has x right, y up, and looks
// along -z (OpenGL).
struct CameraSpec {
  std::string name;
  int width = 0;
  int height = 0;
  double fovy_deg = 0;
  std::array<double, 9> intrinsics{};  // 3x3 row-major, pixels; origin top left, v down
  Pose pose;                           // camera to world
};

// Hand frame pointing straight down, the wrist camera facing away from the base: the orientation
// that rotation targets are relative to.
inline constexpr std::array<double, 4> kGripperDown = {0, 1, 0, 0};

}  // namespace kvla

#endif  // KVLA_SIM_SPECS_H_
