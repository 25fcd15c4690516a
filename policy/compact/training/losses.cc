// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/losses.h"

#include "policy/compact/net/shapes.h"

namespace kvla {
namespace {

constexpr double kGripperWeight = 0.2;
constexpr double kGoalNear = 0.03;  // metres: demonstrators scatter about a target's place
constexpr double kTiny = 1e-6;

torch::Tensor BinaryCrossEntropy(const torch::Tensor& logits, const torch::Tensor& labels) {
  namespace F = torch::nn::functional;
  return F::binary_cross_entropy_with_logits(
      logits.to(torch::kFloat32), labels,
      F::BinaryCrossEntropyWithLogitsFuncOptions().reduction(torch::kNone));
}

}  // namespace

BlockLosses ComputeLosses(const HeadOutputs& outputs, const Batch& batch) {
  namespace F = torch::nn::functional;
  const auto device = outputs.motion.device();
  const torch::Tensor valid = batch.action_valid.to(device);  // [samples, blocks, steps]
  const torch::Tensor steps = valid.sum(-1).clamp_min(1.0);
  BlockLosses losses;
  losses.action_valid = valid.amax(-1);
  losses.motion =
      ((outputs.motion.to(torch::kFloat32) - batch.motion.to(device)).abs().mean(-1) * valid)
          .sum(-1) /
      steps;
  losses.gripper =
      (BinaryCrossEntropy(outputs.gripper, batch.gripper.to(device)) * valid).sum(-1) / steps;
  const torch::Tensor target = batch.target_class.to(device);
  losses.target_valid = batch.target_known.to(device);
  const int64_t classes = outputs.target.size(-1);
  losses.target = F::cross_entropy(outputs.target.to(torch::kFloat32).view({-1, classes}),
                                   target.clamp_min(0).view({-1}),
                                   F::CrossEntropyFuncOptions().reduction(torch::kNone))
                      .view_as(target) *
                  losses.target_valid;
  const torch::Tensor order = batch.cue_order.to(device);
  losses.order_valid = (order >= 0).to(torch::kFloat32);
  losses.order = torch::zeros_like(losses.order_valid);
  if (outputs.order.defined()) {
    const int64_t orders = outputs.order.size(-1);
    losses.order_valid = losses.order_valid * (order < orders).to(torch::kFloat32);
    losses.order = F::cross_entropy(outputs.order.to(torch::kFloat32).view({-1, orders}),
                                    order.clamp(0, orders - 1).view({-1}),
                                    F::CrossEntropyFuncOptions().reduction(torch::kNone))
                       .view_as(order) *
                   losses.order_valid;
  }
  losses.places_valid = batch.places_valid.to(device);
  // A decision whose cue is not in the history: a policy that is sure there is guessing, and what a
  // chunk is worth could not be read off its loss.
  losses.unsure_valid =
      batch.decision.to(device) * (target >= 0).to(torch::kFloat32) * (1.0 - losses.target_valid);
  const torch::Tensor options = batch.choices.to(device).unsqueeze(1) + kTiny;
  const torch::Tensor even = options / options.sum(-1, /*keepdim=*/true);
  const torch::Tensor log_odds = torch::log_softmax(outputs.target.to(torch::kFloat32), -1);
  losses.unsure = (even * (even.log() - log_odds)).sum(-1) * losses.unsure_valid;
  const torch::Tensor places = batch.places.to(device);
  const torch::Tensor off =
      (outputs.places.to(torch::kFloat32) - places).abs() * losses.places_valid.unsqueeze(-1);
  losses.places = off.mean(-1);
  losses.places_square = off.square().mean(-1);
  const torch::Tensor right = torch::one_hot(target.clamp_min(0), classes).to(torch::kFloat32);
  const torch::Tensor goal = (places * right.unsqueeze(-1)).sum(-2);
  const torch::Tensor has_place = (losses.places_valid * right).sum(-1);  // the target
  losses.goal_valid = losses.target_valid * has_place;
  losses.goal = (outputs.goal.to(torch::kFloat32) - goal).abs().mean(-1) * losses.goal_valid;

  const torch::Tensor waypoint = batch.waypoint.to(device);
  const torch::Tensor to_goal =
      ((waypoint - goal).norm(2, -1) < kGoalNear / kWaypointScale).to(torch::kFloat32) *
      (target >= 0).to(torch::kFloat32) * has_place;
  const auto off_by = [&waypoint](const torch::Tensor& x) {
    return (x.to(torch::kFloat32) - waypoint).abs();
  };
  const torch::Tensor off_way =
      torch::where(to_goal.unsqueeze(-1) > 0, off_by(outputs.goal), off_by(outputs.elsewhere)) *
      losses.action_valid.unsqueeze(-1);
  losses.waypoint = off_way.mean(-1);
  losses.waypoint_square = off_way.square().mean(-1);
  losses.choice = BinaryCrossEntropy(outputs.to_goal, to_goal) * losses.action_valid;
  return losses;
}

torch::Tensor Mean(const torch::Tensor& loss, const torch::Tensor& valid) {
  return loss.sum() / (valid.sum() + kTiny);
}

torch::Tensor ActionLoss(const BlockLosses& losses) {
  return losses.motion + kGripperWeight * losses.gripper;
}

torch::Tensor ActionDistance(const HeadOutputs& a, const HeadOutputs& b) {
  const torch::Tensor gripper = (torch::sigmoid(a.gripper.to(torch::kFloat32)) -
                                 torch::sigmoid(b.gripper.to(torch::kFloat32)))
                                    .abs();
  return (a.motion - b.motion).abs().mean() + kGripperWeight * gripper.mean();
}

std::vector<TargetCount> CountTargets(const HeadOutputs& outputs, const Batch& batch,
                                      Counted counted) {
  const torch::Tensor of = counted == Counted::kCue   ? batch.uses_target == 0
                           : counted == Counted::kUse ? batch.uses_target > 0
                                                      : batch.decision * batch.fresh > 0;
  const torch::Tensor known = of & (batch.target_known > 0);
  const torch::Tensor right = outputs.target.argmax(-1).cpu() == batch.target_class;
  std::vector<TargetCount> counts;
  for (int64_t s = 0; s < batch.samples; ++s) {
    counts.push_back({known[s].sum().item<double>(), (right[s] & known[s]).sum().item<double>()});
  }
  return counts;
}

}  // namespace kvla
