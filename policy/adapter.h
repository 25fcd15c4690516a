// SPDX-License-Identifier: Apache-2.0
// Between the suite's robot and a checkpoint that was trained elsewhere: which camera is which,
// what a state and an action are made of. No torch.
#ifndef KVLA_POLICY_ADAPTER_H_
#define KVLA_POLICY_ADAPTER_H_

#include <array>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/config_fields.h"
#include "base/status.h"
#include "policy/dimensions.h"
#include "policy/rotation_forms.h"

namespace kvla {

struct AdapterCamera {
  std::string camera, feature;
  int width = 256, height = 256;

  template <class V>
  void Fields(V& v) {
    v("camera", camera, "camera of the suite's scenes");
    v("feature", feature, "what the checkpoint calls it");
    v("width", width, Range{8, 1024}, "pixels that are drawn");
    v("height", height, Range{8, 1024}, "pixels that are drawn");
  }
};

struct AdapterAction {
  std::string position = "delta";
  std::string rotation = "rotvec";
  double unit_m = 1, unit_rad = 1;
  double gripper_open = -1, gripper_closed = 1;

  template <class V>
  void Fields(V& v) {
    v("position", position, OneOf{"delta", "absolute"},
      "position and rotation of an action: relative to the action before it, along the world's "
      "axes, or where the hand shall be");
    v("rotation", rotation, OneOf(RotationFormNames()), "how it writes a rotation");
    v("unit_m", unit_m, Range{1e-6, 1e6}, "metres of a position of 1");
    v("unit_rad", unit_rad, Range{1e-6, 1e6}, "radians of a rotvec or Euler angle of 1");
    v("gripper_open", gripper_open, "its last number where the gripper is open");
    v("gripper_closed", gripper_closed, "its last number where the gripper is closed");
  }
};

// The block `adapter:` of a run, or adapter.yaml beside the checkpoint.
struct AdapterConfig {
  std::vector<AdapterCamera> cameras;
  std::string resize = "pad";
  std::vector<std::string> state = {"position", "rotvec", "gripper"};
  std::string rotation_from = "gripper_down";
  AdapterAction action;
  int replan_steps = 10;
  double control_rate_hz = 20;

  template <class V>
  void Fields(V& v) {
    v("cameras", cameras, "the suite's camera behind each of the checkpoint's");
    v("resize", resize, OneOf{"pad", "stretch"},
      "how an image fills the checkpoint's square: its ratio kept, as the checkpoint pads, or not");
    std::vector<std::string> parts = {"position", "gripper"};
    parts.insert(parts.end(), RotationFormNames().begin(), RotationFormNames().end());
    v("state", state, OneOf(parts),
      "what the checkpoint's state is made of, in order: position [m], the gripper's width [m], a "
      "rotation");
    v("rotation_from", rotation_from, OneOf{"gripper_down", "world"},
      "what rotations of a state and of absolute actions are relative to");
    v("action", action, "what the checkpoint's action is made of: position, rotation, gripper");
    v("replan_steps", replan_steps, Range{1, 1000}, "actions of a chunk that are carried out");
    v("control_rate_hz", control_rate_hz, Range{0.1, 1000},
      "actions a second that the checkpoint was trained on");
  }
};

// How the suite has it; constants of the simulation.
struct RobotConventions {
  double control_rate_hz = 20;
  Quaternion gripper_down = {0, 1, 0, 0};
};

// How the checkpoint has it.
struct CheckpointSide {
  std::vector<std::string> cameras;  // features that need an image, in order
  int state = 0, action = 0;         // numbers
  int chunk = 0;                     // actions of an inference
  std::string statistics;            // of state and action, in a few words
};

// Immutable.
class Adapter {
 public:
  // BadInput where the two sides do not fit; names both.
  static Result<Adapter> Create(const AdapterConfig& config, const CheckpointSide& checkpoint,
                                const RobotConventions& robot);

  const AdapterConfig& config() const { return config_; }
  // The place in config().cameras of each of the checkpoint's cameras.
  const std::vector<size_t>& cameras() const { return cameras_; }

  // [state], in the checkpoint's own units.
  std::vector<float> State(const std::array<float, kProprioDim>& proprio) const;
  // Actions [chunk, action] of an inference that saw `proprio` -> Inference::targets.
  std::vector<std::array<float, kTargetDim>> Targets(
      std::span<const float> actions, const std::array<float, kProprioDim>& proprio) const;

  // What is said of it beside a run's results.
  std::vector<std::pair<std::string, std::string>> Card() const;

 private:
  Adapter() = default;
  // Of the hand at `proprio`, as rotation_from has it.
  Quaternion Rotation(const std::array<float, kProprioDim>& proprio) const;

  AdapterConfig config_;
  CheckpointSide checkpoint_;
  Quaternion origin_{1, 0, 0, 0};  // of rotation_from, relative to gripper-down
  RotationForm form_ = RotationForm::kRotvec;
  std::vector<size_t> cameras_;
};

// Numbers of a state and of an action that are laid out so.
int StateNumbers(const AdapterConfig& config);
int ActionNumbers(const AdapterConfig& config);

}  // namespace kvla

#endif  // KVLA_POLICY_ADAPTER_H_
