// SPDX-License-Identifier: Apache-2.0
// Fits a ChunkGate to labelled chunks, calibrates it and counts what it keeps. Includes torch.
#ifndef KVLA_POLICY_COMPACT_GATE_GATE_FIT_H_
#define KVLA_POLICY_COMPACT_GATE_GATE_FIT_H_

#include <functional>
#include <map>
#include <span>
#include <vector>

#include "base/status.h"
#include "kv_efficient/methods/learned/chunk_gate.h"
#include "policy/compact/gate/counterfactual.h"
#include "policy/compact/gate/gate_training.h"
#include "tensors/torch.h"

namespace kvla {

// Mean binary cross-entropy of an episode's logits [chunks] against `useful` [chunks], in which a
// useful chunk counts `positive_weight` times, over the chunks of which `counts` [chunks] is 1. A
// scalar; differentiable in the logits.
torch::Tensor GateLoss(const torch::Tensor& logits, const torch::Tensor& useful,
                       const torch::Tensor& counts, double positive_weight);

struct GateEpoch {
  int number = 0;                              // from 1
  double train_loss = 0, validation_loss = 0;  // means over episodes; the first while it learns
  double seconds = 0;
};

// Trains for config.epochs and leaves the weights of the epoch with the least validation loss in
// `gate`; returns its number. `on_epoch` says whether to go on: else kCancelled.
// REQUIRES: both sets hold an episode.
Result<int> FitGate(const GateTrainConfig& config, std::span<const LabelledChunks> train,
                    std::span<const LabelledChunks> validation, ChunkGate& gate,
                    const std::function<bool(const GateEpoch&)>& on_epoch);

// A logit at or above which lie at least `recall` of the useful chunks, and no more than it takes.
// 0 where there is none.
double LogitOfRecall(std::vector<double> useful_logits, double recall);

// The useful chunk's logit that is the best threshold by the F-measure in which recall counts
// `beta` times as much as precision; of equals the lower. 0 where there is none.
double LogitOfF(std::vector<double> useful_logits, std::vector<double> other_logits, double beta);

// Moves the gate's logits so that 0 (a utility of 0.5) is the logit of config.beta or config.recall
// on `episodes`; returns by how much.
double CalibrateGate(const GateTrainConfig& config, std::span<const LabelledChunks> episodes,
                     ChunkGate& gate);

// Logits of every episode, [chunks] each, without gradients.
std::vector<torch::Tensor> GateLogits(std::span<const LabelledChunks> episodes, ChunkGate& gate);

// What a gate does with labelled chunks: a logit of 0 or more keeps. Chunks that do not count are
// not counted, but for those that saw a cue.
struct GateCounts {
  int chunks = 0, useful = 0, kept = 0, useful_kept = 0;
  int cue = 0, cue_useful = 0, cue_kept = 0;  // of the chunks that saw a cue
  // By the class that the decision was about, of the episodes with a useful chunk: how many there
  // are, and how many kept one.
  struct Rate {
    int episodes = 0, kept = 0;
  };
  std::map<int, Rate> by_target;

  double precision() const { return kept > 0 ? 1.0 * useful_kept / kept : 0.0; }
  double recall() const { return useful > 0 ? 1.0 * useful_kept / useful : 0.0; }
};
// `logits`: one entry an episode.
GateCounts CountKept(std::span<const LabelledChunks> episodes,
                     std::span<const torch::Tensor> logits);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_GATE_GATE_FIT_H_
