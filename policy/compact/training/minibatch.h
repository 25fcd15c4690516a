// SPDX-License-Identifier: Apache-2.0
// Tensors of one training step. Includes torch.
#ifndef KVLA_POLICY_COMPACT_TRAINING_MINIBATCH_H_
#define KVLA_POLICY_COMPACT_TRAINING_MINIBATCH_H_

#include <string>
#include <vector>

#include "policy/compact/policy_config.h"
#include "policy/compact/training/demo_source.h"
#include "policy/compact/training/sub_history.h"
#include "tensors/torch.h"

namespace kvla {

// `samples` sub-histories of `blocks` frame blocks; shorter ones are padded at the end.
struct Batch {
  int samples = 0, blocks = 0;
  std::vector<std::string> tasks;     // [samples]
  torch::Tensor instruction;          // as read: one for all samples, or [samples, 384]
  std::vector<torch::Tensor> images;  // per camera [samples * blocks, size, size, 3] uint8; none
                                      // where the episodes have none left
  torch::Tensor proprio;              // [samples * blocks, 7]
  torch::Tensor encoded;       // [samples * blocks, tokens, hidden], of EncodeBlocks(), where known
  torch::Tensor motion;        // [samples, blocks, replan_steps, 6], head units
  torch::Tensor gripper;       // [samples, blocks, replan_steps], 1 close, 0 open
  torch::Tensor action_valid;  // [samples, blocks, replan_steps], 1 or 0
  torch::Tensor waypoint;      // [samples, blocks, 3], head units
  torch::Tensor target_class;  // [samples, blocks] int64, -1 none
  torch::Tensor target_known;  // [samples, blocks], 1 where there is a class to learn
  torch::Tensor cue_order;     // [samples, blocks] int64, which cue the block sees, -1 none, not to
                               // be told from the history, or the policy has no head for it
  torch::Tensor places;        // [samples, blocks, classes, 3], head units
  torch::Tensor places_valid;  // [samples, blocks, classes], 1 where the episode has one
  torch::Tensor choices;       // [samples, classes], 1 for what the decision is between
  torch::Tensor decision;      // [samples, blocks], 1 where the decision is open
  torch::Tensor uses_target;   // [samples, blocks], 1 where UsesTarget()
  torch::Tensor fresh;         // [samples, blocks], 1 where IsFresh()
  torch::Tensor valid;         // [samples, blocks], 0 in the padding
  std::vector<SubHistory> histories;  // [samples]
};

// One block's labels and inputs are taken at its control step (block * replan_steps).
// `instruction`: of InstructionReader, one that all samples share; embeddings may also be stacked,
// one a sample.
// REQUIRES: episodes and histories of equal length, none empty.
Batch MakeBatch(const std::vector<const DemoEpisode*>& episodes, std::vector<SubHistory> histories,
                const PolicyConfig& config, const torch::Tensor& instruction);

// `episodes`: per sample, the blocks of its whole episode, [blocks, tokens, hidden].
// -> Batch::encoded, float32; zeros in the padding.
torch::Tensor GatherEncoded(const Batch& batch, const std::vector<torch::Tensor>& episodes);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_MINIBATCH_H_
