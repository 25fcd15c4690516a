// SPDX-License-Identifier: Apache-2.0
// Trains a ChunkGate for a frozen policy by counterfactual distillation.
//
// Which old chunk does the policy's own loss, where a decision begins or goes on to its next
// target, not do without? Those chunks are the gate's positives. No cue label is used here; that
// the policy's loss tells them apart is owed to its own training, whose `unsure_weight` does use
// cue labels.
#ifndef KVLA_POLICY_COMPACT_GATE_GATE_TRAINING_H_
#define KVLA_POLICY_COMPACT_GATE_GATE_TRAINING_H_

#include <string>

#include "base/config_fields.h"
#include "base/status.h"
#include "policy/compact/training/demo_source.h"
#include "policy/compact/training/train.h"

namespace kvla {

struct GateTrainConfig {
  std::string checkpoint;  // the frozen policy
  std::string demos;       // training demonstrations
  std::string validation;  // demonstrations that calibrate the threshold
  std::string out;         // gate file to write (safetensors)
  std::string task;        // only this task's demonstrations; empty: all
  int seed = 0;
  int episodes = 300;
  int validation_episodes = 60;
  std::string find = "each";
  std::string keep = "compressed";
  int decision_blocks = 3;
  double useful_drop = 0.3;
  int epochs = 60;
  double learning_rate = 2e-3;
  double positive_weight = 6.0;
  double recall = 0.995;
  int threads = 2;

  template <class V>
  void Fields(V& v) {
    v("checkpoint", checkpoint, "folder of the frozen policy");
    v("demos", demos, "folder of training demonstrations");
    v("validation", validation, "folder of the demonstrations that calibrate the threshold");
    v("out", out, "gate file to write (safetensors)");
    v("task", task, "only demonstrations of this task; empty: all");
    v("seed", seed, Range{0, 1000000}, "seed of weights and order");
    v("episodes", episodes, Range{1, 100000}, "training demonstrations to label");
    v("validation_episodes", validation_episodes, Range{1, 100000}, "demonstrations to calibrate");
    v("find", find, OneOf{"each", "few"},
      "each: chunks that help when given back alone in front of the window; few: the fewest that "
      "together do what all of them do, for memories that lie in several chunks");
    v("keep", keep, OneOf{"compressed", "whole"},
      "how the gate will keep a chunk: what a counterfactual gives back, and what the cache holds "
      "while features are recorded; a gate is for arms with the same 'keep'");
    v("decision_blocks", decision_blocks, Range{1, 64},
      "blocks from the decision's begin whose loss counts: later ones betray the target");
    v("useful_drop", useful_drop, Range{0.0, 100.0},
      "loss a useful chunk takes off, at least; of that, what the fewest may fall short");
    v("epochs", epochs, Range{1, 10000}, "passes over the labelled episodes");
    v("learning_rate", learning_rate, Range{0.0, 1.0}, "Adam's rate");
    v("positive_weight", positive_weight, Range{0.0, 1000.0}, "weight of useful chunks");
    v("recall", recall, Range{0.0, 1.0}, "share of useful chunks the threshold must keep");
    v("threads", threads, Range{1, 256}, "LibTorch threads");
  }
};

// Writes config.out, and beside it <out>.csv (loss curve), <out>.json (kept rate by cue value,
// precision, recall, threshold) and <out>.labels.csv (every chunk of the validation demonstrations:
// what it took off the loss, and what the gate says). BadInput where config.out is there and was
// made with other settings, or another process writes it.
Status TrainGate(const GateTrainConfig& config, DemoSource& demos, DemoSource& validation,
                 const TrainHooks& hooks);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_GATE_GATE_TRAINING_H_
