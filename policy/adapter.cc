// SPDX-License-Identifier: Apache-2.0
#include "policy/adapter.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace kvla {
namespace {

int PartNumbers(const std::string& part) {
  if (part == "position") return 3;
  const auto form = RotationFormNamed(part);
  return form ? RotationNumbers(*form) : 1;
}

RotationForm FormOf(const AdapterConfig& config) {
  return RotationFormNamed(config.action.rotation).value_or(RotationForm::kRotvec);
}

bool IsScaled(RotationForm form) {
  return form == RotationForm::kRotvec || form == RotationForm::kEuler;
}

Quaternion FromRotvec(const std::array<float, kProprioDim>& proprio) {
  const std::array<double, 3> rotvec = {proprio[3], proprio[4], proprio[5]};
  return ReadRotation(RotationForm::kRotvec, rotvec);
}

Status CheckLayouts(const AdapterConfig& config, const CheckpointSide& checkpoint) {
  if (StateNumbers(config) != checkpoint.state) {
    return BadInput(fmt::format("state: {} are {} numbers, the checkpoint's state has {}",
                                fmt::join(config.state, ", "), StateNumbers(config),
                                checkpoint.state));
  }
  if (ActionNumbers(config) != checkpoint.action) {
    return BadInput(
        fmt::format("action: a position, a rotation as {} and the gripper are {} numbers, the "
                    "checkpoint's action has {}",
                    config.action.rotation, ActionNumbers(config), checkpoint.action));
  }
  if (config.action.gripper_open == config.action.gripper_closed) {
    return BadInput(fmt::format("action: gripper_open and gripper_closed are both {:g}",
                                config.action.gripper_open));
  }
  return {};
}

Status CheckTimes(const AdapterConfig& config, const CheckpointSide& checkpoint,
                  const RobotConventions& robot) {
  if (config.replan_steps > checkpoint.chunk) {
    return BadInput(
        fmt::format("replan_steps: {} actions are to be carried out, the checkpoint's chunk has {}",
                    config.replan_steps, checkpoint.chunk));
  }
  if (config.control_rate_hz != robot.control_rate_hz) {
    return BadInput(fmt::format(
        "control_rate_hz: the checkpoint's actions are {:g} a second, the suite's robot takes {:g}",
        config.control_rate_hz, robot.control_rate_hz));
  }
  return {};
}

}  // namespace

int StateNumbers(const AdapterConfig& config) {
  int numbers = 0;
  for (const std::string& part : config.state) numbers += PartNumbers(part);
  return numbers;
}

int ActionNumbers(const AdapterConfig& config) { return 3 + RotationNumbers(FormOf(config)) + 1; }

Result<Adapter> Adapter::Create(const AdapterConfig& config, const CheckpointSide& checkpoint,
                                const RobotConventions& robot) {
  Adapter made;
  made.config_ = config;
  made.checkpoint_ = checkpoint;
  made.form_ = FormOf(config);
  if (config.rotation_from == "world") made.origin_ = robot.gripper_down;
  std::vector<std::string> ours;
  for (const AdapterCamera& camera : config.cameras) ours.push_back(camera.feature);
  for (const std::string& feature : checkpoint.cameras) {
    const auto found = std::ranges::find(ours, feature);
    if (found != ours.end()) made.cameras_.push_back(found - ours.begin());
  }
  if (made.cameras_.size() != checkpoint.cameras.size() || ours.size() != made.cameras_.size()) {
    return BadInput(fmt::format(
        "adapter: cameras: the run has {} ({}), the checkpoint {} ({}): one for each is wanted",
        ours.size(), fmt::join(ours, ", "), checkpoint.cameras.size(),
        fmt::join(checkpoint.cameras, ", ")));
  }
  if (Status s = CheckLayouts(config, checkpoint); !s.ok()) return s.In("adapter");
  if (Status s = CheckTimes(config, checkpoint, robot); !s.ok()) return s.In("adapter");
  return made;
}

Quaternion Adapter::Rotation(const std::array<float, kProprioDim>& proprio) const {
  return Product(FromRotvec(proprio), origin_);
}

std::vector<float> Adapter::State(const std::array<float, kProprioDim>& proprio) const {
  std::vector<float> state;
  for (const std::string& part : config_.state) {
    if (part == "position") {
      state.insert(state.end(), proprio.begin(), proprio.begin() + 3);
    } else if (const auto form = RotationFormNamed(part)) {
      for (const double x : WriteRotation(*form, Rotation(proprio))) {
        state.push_back(static_cast<float>(x));
      }
    } else {
      state.push_back(proprio[6]);
    }
  }
  return state;
}

std::vector<std::array<float, kTargetDim>> Adapter::Targets(
    std::span<const float> actions, const std::array<float, kProprioDim>& proprio) const {
  const AdapterAction& action = config_.action;
  const bool delta = action.position == "delta";
  const auto numbers = static_cast<size_t>(RotationNumbers(form_));
  const double unit_rad = IsScaled(form_) ? action.unit_rad : 1;
  std::array<double, 3> offset{};           // from the hand at the inference
  Quaternion turned = FromRotvec(proprio);  // relative to gripper-down
  std::vector<std::array<float, kTargetDim>> targets;
  for (int step = 0; step < config_.replan_steps; ++step) {
    const std::span<const float> row =
        actions.subspan(static_cast<size_t>(step) * checkpoint_.action, checkpoint_.action);
    for (size_t i = 0; i < 3; ++i) {
      const double place = row[i] * action.unit_m;
      offset[i] = delta ? offset[i] + place : place - proprio[i];
    }
    std::vector<double> rotation(row.begin() + 3, row.begin() + 3 + numbers);
    for (double& x : rotation) x *= unit_rad;
    const Quaternion read = ReadRotation(form_, rotation);
    turned = delta ? Product(read, turned) : Product(read, Inverse(origin_));
    const std::vector<double> rotvec = WriteRotation(RotationForm::kRotvec, turned);
    const double closed =
        (row[3 + numbers] - action.gripper_open) / (action.gripper_closed - action.gripper_open);
    std::array<float, kTargetDim> target{};
    for (size_t i = 0; i < 3; ++i) {
      target[i] = static_cast<float>(offset[i]);
      target[3 + i] = static_cast<float>(rotvec[i]);
    }
    target[6] = static_cast<float>(std::clamp(2 * closed - 1, -1.0, 1.0));
    targets.push_back(target);
  }
  return targets;
}

std::vector<std::pair<std::string, std::string>> Adapter::Card() const {
  const AdapterAction& a = config_.action;
  std::vector<std::string> cameras;
  for (const AdapterCamera& c : config_.cameras) {
    cameras.push_back(fmt::format("{} at {}x{} as {}", c.camera, c.width, c.height, c.feature));
  }
  const std::string units = IsScaled(form_)
                                ? fmt::format("; 1 = {:g} m, {:g} rad", a.unit_m, a.unit_rad)
                                : fmt::format("; 1 = {:g} m", a.unit_m);
  return {{"adapter: cameras", fmt::format("{}", fmt::join(cameras, ", "))},
          {"adapter: resize", config_.resize},
          {"adapter: state",
           fmt::format("{}: {} numbers", fmt::join(config_.state, ", "), checkpoint_.state)},
          {"adapter: rotations", "relative to " + config_.rotation_from},
          {"adapter: action", fmt::format("{} position, rotation as {}, gripper ({:g} open, {:g} "
                                          "closed): {} numbers{}",
                                          a.position, a.rotation, a.gripper_open, a.gripper_closed,
                                          checkpoint_.action, units)},
          {"adapter: statistics", checkpoint_.statistics},
          {"adapter: chunk",
           fmt::format("{} of {} actions are carried out, {:g} a second", config_.replan_steps,
                       checkpoint_.chunk, config_.control_rate_hz)}};
}

}  // namespace kvla
