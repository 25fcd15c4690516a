// SPDX-License-Identifier: Apache-2.0
// The losses of behaviour cloning. Includes torch.
#ifndef KVLA_POLICY_COMPACT_TRAINING_LOSSES_H_
#define KVLA_POLICY_COMPACT_TRAINING_LOSSES_H_

#include <vector>

#include "policy/compact/net/vla_net.h"
#include "policy/compact/training/minibatch.h"
#include "tensors/torch.h"

namespace kvla {

// Each [samples, blocks] (places: [samples, blocks, classes]), already multiplied by its validity;
// see Mean().
struct BlockLosses {
  torch::Tensor motion;    // L1, head units
  torch::Tensor gripper;   // binary cross-entropy
  torch::Tensor waypoint;  // L1 of the one that it is, goal or elsewhere
  torch::Tensor choice;    // binary cross-entropy: which of the two
  torch::Tensor target;    // cross-entropy where a target class is known
  torch::Tensor unsure;    // divergence from all classes alike where the history cannot tell it
  torch::Tensor order;     // cross-entropy where a cue is seen; 0 without such a head
  torch::Tensor goal;      // L1 where the class is known, of the place that was looked up
  torch::Tensor places;    // L1 where the episode has a target of the class
  torch::Tensor places_square, waypoint_square;  // of the same errors
  torch::Tensor action_valid, target_valid, unsure_valid, order_valid, goal_valid, places_valid;
};

BlockLosses ComputeLosses(const HeadOutputs& outputs, const Batch& batch);

// The mean over valid blocks, as a scalar.
torch::Tensor Mean(const torch::Tensor& loss, const torch::Tensor& valid);

// The loss a policy acts by: motion and gripper. [samples, blocks]
torch::Tensor ActionLoss(const BlockLosses& losses);

// How far apart two policies' actions are, in the units of ActionLoss(): a scalar.
torch::Tensor ActionDistance(const HeadOutputs& a, const HeadOutputs& b);

// Blocks whose target class is known, and how many of them have it as the most likely one.
struct TargetCount {
  double known = 0, right = 0;
  void Add(const TargetCount& more) {
    known += more.known;
    right += more.right;
  }
  double Rate() const { return known > 0 ? right / known : 0; }
};
// The blocks that see the cue; those of a decision and the way to it; those of a decision in which
// the target is new (IsFresh()), so that it must be remembered.
enum class Counted { kCue, kUse, kDecision };
// One a sample.
std::vector<TargetCount> CountTargets(const HeadOutputs& outputs, const Batch& batch,
                                      Counted counted);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_LOSSES_H_
