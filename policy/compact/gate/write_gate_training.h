// SPDX-License-Identifier: Apache-2.0
// Trains a WriteGate, of wg_kv or dms, for a frozen policy.
//
// WG-KV (arXiv 2512.17452): log g is added to the logits of tokens that left the window; the loss
// is the squared error to what the policy computes with everything (its hidden states), plus
// `sparsity` times the mean of g. DMS (arXiv 2506.05345): the same place, log of a Gumbel-sigmoid;
// the loss is the distance to what the policy says with everything (its actions and its classes),
// plus `sparsity` times what the mean is above an aim that falls to `share`. No label of a
// demonstration is read.
#ifndef KVLA_POLICY_COMPACT_GATE_WRITE_GATE_TRAINING_H_
#define KVLA_POLICY_COMPACT_GATE_WRITE_GATE_TRAINING_H_

#include <string>

#include "base/config_fields.h"
#include "base/status.h"
#include "policy/compact/gate/gate_train_setup.h"
#include "policy/compact/training/demo_source.h"
#include "policy/compact/training/train.h"

namespace kvla {

struct WriteGateTrainConfig : GateTrainSetup {
  std::string method = "wg_kv";
  int episodes = 300;
  int validation_episodes = 20;
  int steps = 1000;
  double minutes = 0;
  int batch = 4;
  int sample_blocks = 192;
  double learning_rate = 2e-2;
  double sparsity = 0.1;
  double share = 0.125;
  double temperature = 0.5;
  int validate_every = 100;

  template <class V>
  void Fields(V& v) {
    GateTrainSetup::Fields(v);
    v("method", method, OneOf{"wg_kv", "dms"}, "cache method that the gate is for");
    v("episodes", episodes, Range{1, 100000}, "training demonstrations");
    v("validation_episodes", validation_episodes, Range{1, 100000}, "demonstrations to report on");
    v("steps", steps, Range{1, 1000000}, "optimiser steps");
    v("minutes", minutes, Range{0.0, 1e6},
      "CPU minutes after which it ends, reading and encoding the demonstrations included; rate and "
      "aim follow whichever ends it; 0: the steps alone");
    v("batch", batch, Range{1, 1024}, "histories a step");
    v("sample_blocks", sample_blocks, Range{8, 4096}, "longest history, frame blocks");
    v("learning_rate", learning_rate, Range{0.0, 1.0}, "Adam's rate");
    v("sparsity", sparsity, Range{0.0, 1000.0},
      "weight of the mean of what is kept (wg_kv), of how far it is above its aim (dms)");
    v("share", share, Range{0.001, 1.0},
      "of the tokens that left, what is to be kept in the end; the ratio grows evenly to it over "
      "two thirds of the training (dms)");
    v("temperature", temperature, Range{0.01, 10.0}, "of the Gumbel-sigmoid (dms)");
    v("validate_every", validate_every, Range{1, 1000000}, "steps between validations");
  }
};

// Writes config.out, and beside it <out>.csv (loss curve) and <out>.json (what is kept and what it
// costs at a threshold of 0.5, beside a window alone; steps, CPU minutes). The file names the
// policy, which is the only one that it is for. Starts anew after a stop. BadInput as TrainGate().
Status TrainWriteGate(const WriteGateTrainConfig& config, DemoSource& demos, DemoSource& validation,
                      const TrainHooks& hooks);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_GATE_WRITE_GATE_TRAINING_H_
