// SPDX-License-Identifier: Apache-2.0
// What a SmolVLA in the loop is, before its weights are there. No torch.
#ifndef KVLA_POLICY_BACKBONES_SMOLVLA_SMOLVLA_PLAN_H_
#define KVLA_POLICY_BACKBONES_SMOLVLA_SMOLVLA_PLAN_H_

#include <optional>
#include <vector>

#include "base/status.h"
#include "policy/adapter.h"
#include "policy/backbones/smolvla/smolvla_config.h"
#include "policy/policy_source.h"

namespace kvla {

struct SmolVlaPlan {
  SmolVlaConfig config;
  Adapter adapter;
  PolicyDescription description;
  // Of each of the config's cameras its place among the spec's; none: one that LeRobot calls empty,
  // which has no tokens.
  std::vector<std::optional<size_t>> cameras;
  int images() const { return static_cast<int>(description.spec.cameras.size()); }
};

// The adapter is the run's; where the run has none, the folder's adapter.yaml; a shape's own
// cameras are the suite's front and wrist. BadInput: no such folder, or it does not fit the robot.
Result<SmolVlaPlan> PlanSmolVla(const PolicySource& source);

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_SMOLVLA_SMOLVLA_PLAN_H_
