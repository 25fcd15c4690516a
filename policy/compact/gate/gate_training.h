// SPDX-License-Identifier: Apache-2.0
// Trains a ChunkGate for a frozen policy by counterfactual distillation.
//
// Where does the loss of the policy's actions need its history, found by taking the history away,
// and which old chunks does it not do without there? Those chunks are the gate's positives. No
// label of a demonstration is read (what was a cue, when a decision is open, which target is right,
// where it stands) but for the report, and under `teacher: everything`.
#ifndef KVLA_POLICY_COMPACT_GATE_GATE_TRAINING_H_
#define KVLA_POLICY_COMPACT_GATE_GATE_TRAINING_H_

#include <string>

#include "base/config_fields.h"
#include "base/status.h"
#include "policy/compact/gate/gate_train_setup.h"
#include "policy/compact/training/demo_source.h"
#include "policy/compact/training/train.h"

namespace kvla {

struct GateTrainConfig : GateTrainSetup {
  int episodes = 300;
  int validation_episodes = 60;
  std::string teacher = "actions";
  int scene_blocks = 3;
  double history_gain = 0.05;
  int scenes = 6;
  std::string find = "few";
  std::string keep = "compressed";
  std::string storage = "f32";
  std::string aggregate = "mlp";
  std::string memory = "lstm";
  double useful_drop = 0.05;
  int epochs = 60;
  double learning_rate = 2e-3;
  double positive_weight = 6.0;
  double recall = 0.995;
  double beta = 0.0;
  int agreement_episodes = 20;

  template <class V>
  void Fields(V& v) {
    GateTrainSetup::Fields(v);
    v("episodes", episodes, Range{1, 100000}, "training demonstrations to label");
    v("validation_episodes", validation_episodes, Range{1, 100000}, "demonstrations to calibrate");
    v("teacher", teacher, OneOf{"actions", "everything"},
      "whose loss says what a chunk is worth; actions: that of the actions alone, where taking the "
      "history away raises it; everything: with waypoint, target and goal, where the demonstration "
      "says that a decision opens (an ablation: labels that a robot does not have)");
    v("scene_blocks", scene_blocks, Range{1, 64},
      "blocks that are judged together; in a decision later ones betray the target");
    v("history_gain", history_gain, Range{0.0, 100.0},
      "loss that the whole history takes off that of the window alone where it is needed, at least "
      "(teacher: actions)");
    v("scenes", scenes, Range{1, 1000},
      "most scenes of an episode, those where the history buys most (teacher: actions)");
    v("find", find, OneOf{"each", "few", "pairs"},
      "each: chunks that help when given back alone in front of the window; few: the fewest that "
      "together do what all of them do, for memories that lie in several chunks; pairs: the same, "
      "and a chunk that would do in place of its neighbour counts for nothing");
    v("keep", keep, OneOf{"compressed", "whole"},
      "how the gate will keep a chunk: what a counterfactual gives back, and what the cache holds "
      "while features are recorded; a gate is for arms with the same 'keep'");
    v("storage", storage, OneOf{"f32", "bf16", "int8", "int4"},
      "the arm's type of keys and values, in the same places");
    v("aggregate", aggregate, OneOf{"mlp", "mean"},
      "what the gate makes of a chunk's tokens; mean: their mean, without the MLP (an ablation)");
    v("memory", memory, OneOf{"lstm", "none"},
      "what the gate knows of earlier chunks; none: it has no LSTM (an ablation)");
    v("useful_drop", useful_drop, Range{0.0, 100.0},
      "loss a useful chunk takes off, at least; of that, what the fewest may fall short");
    v("epochs", epochs, Range{1, 10000}, "passes over the labelled episodes");
    v("learning_rate", learning_rate, Range{0.0, 1.0}, "Adam's rate");
    v("positive_weight", positive_weight, Range{0.0, 1000.0}, "weight of useful chunks");
    v("recall", recall, Range{0.0, 1.0},
      "share of useful chunks the threshold must keep, without 'beta'");
    v("beta", beta, Range{0.0, 1000.0},
      "the threshold is that of the best F-measure in which recall counts beta times as much as "
      "precision; 0: that of 'recall'");
    v("agreement_episodes", agreement_episodes, Range{0, 100000},
      "validation demonstrations in which each chunk is taken away in turn, for the report");
  }
};

// Writes config.out, and beside it <out>.csv (loss curve), <out>.json (precision, recall, those of
// cues by value and by onset, agreement with the leave-one-out change of the action, threshold, CPU
// minutes) and <out>.labels.csv (every chunk of the validation demonstrations: what it took off the
// loss, and what the gate says). Starts anew after a stop. BadInput where config.out is there and
// was made with other settings, or another process writes it.
Status TrainGate(const GateTrainConfig& config, DemoSource& demos, DemoSource& validation,
                 const TrainHooks& hooks);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_GATE_GATE_TRAINING_H_
