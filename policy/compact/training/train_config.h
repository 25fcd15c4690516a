// SPDX-License-Identifier: Apache-2.0
// What a training of the policy is told: on what and from what, and how it learns. No torch.
#ifndef KVLA_POLICY_COMPACT_TRAINING_TRAIN_CONFIG_H_
#define KVLA_POLICY_COMPACT_TRAINING_TRAIN_CONFIG_H_

#include <string>
#include <vector>

#include "base/config_fields.h"
#include "policy/compact/policy_config.h"

namespace kvla {

// What all stages of a training have in common.
struct TrainSetup {
  std::string demos;       // folder of training demonstrations
  std::string validation;  // folder of validation demonstrations
  std::string out;         // checkpoint folder to write
  std::string init_from;   // checkpoint folder to start from; empty: fresh weights
  std::string warm_from;   // without init_from: tensors of equal name and shape are taken over
  std::vector<std::string> warm_parts;
  PolicyConfig policy;
  int seed = 0;
  std::string bf16 = "auto";
  bool half_file = true;
  int threads = 2;

  template <class V>
  void Fields(V& v) {
    v("demos", demos, "folder of training demonstrations (kvla demos)");
    v("validation", validation, "folder of validation demonstrations");
    v("out", out, "checkpoint folder to write");
    v("init_from", init_from, "checkpoint folder to start from; empty: fresh weights");
    v("warm_from", warm_from,
      "checkpoint folder of another policy, whose tensors of equal name and shape are the start; "
      "not with init_from");
    v("warm_parts", warm_parts, "of warm_from: how the names of tensors to take begin; empty: all");
    v("policy", policy, "sizes of the policy; taken from init_from where that is given");
    v("seed", seed, Range{0, 1000000}, "seed of weights and batches");
    v("bf16", bf16, OneOf{"auto", "on", "off"},
      "bfloat16 autocast; auto: where the CPU has instructions for it (emulated it is slower)");
    v("half_file", half_file, "write model.safetensors in float16");
    v("threads", threads, Range{1, 256}, "LibTorch threads");
  }
};

// How one stage learns. Which labels a loss reads: docs/training.md.
struct TrainStage {
  int steps = 1500;
  int batch = 16;
  int sample_blocks = 64;
  double full_history_share = 0.1;
  int full_history_batch = 3;
  double learning_rate = 1e-3;
  int warmup_steps = 100;
  double weight_decay = 0.01;
  double ema_decay = 0.995;
  std::string history = "robust";
  double compression_share = 0.0;
  std::string shows = "anywhere";
  double waypoint_weight = 0.5;
  double target_weight = 0.5;
  double shown_weight = 1;
  double unsure_weight = 0;
  double fresh_weight = 1;
  double places_weight = 1.0;
  double order_weight = 0;
  double square_weight = 0.0;
  double decision_weight = 1.0;
  double decision_share = 0.5;
  double fresh_share = 0;
  std::vector<std::string> emphasis;
  std::string learns = "everything";
  int validate_every = 250;
  int checkpoint_every = 100;

  template <class V>
  void Fields(V& v) {
    v("steps", steps, Range{1, 1000000}, "optimiser steps");
    v("batch", batch, Range{1, 1024}, "sub-histories a step");
    v("sample_blocks", sample_blocks, Range{8, 4096}, "longest sub-history, frame blocks");
    v("full_history_share", full_history_share, Range{0.0, 1.0},
      "share of steps on whole episodes");
    v("full_history_batch", full_history_batch, Range{1, 256}, "whole episodes in such a step");
    v("learning_rate", learning_rate, Range{0.0, 1.0}, "peak of the cosine schedule");
    v("warmup_steps", warmup_steps, Range{0, 100000}, "steps of linear warm-up");
    v("weight_decay", weight_decay, Range{0.0, 1.0}, "AdamW's decay of matrices");
    v("ema_decay", ema_decay, Range{0.0, 1.0}, "average of the weights that is saved; 0: none");
    v("history", history, OneOf{"plain", "robust", "window", "by_cues"},
      "what becomes of what is old. plain: nothing is dropped, compressed or clamped (the policy's "
      "age_clamp_blocks becomes 0); robust: chunks are dropped and compressed by chance, whatever "
      "they hold; window: the window alone is attended; by_cues: as robust, but what saw a cue is "
      "dropped seldom, and a target is learnt only where its cue is seen (reads cue labels)");
    v("compression_share", compression_share, Range{0.0, 1.0},
      "share of steps on histories with chunks compressed or dropped; robust and by_cues");
    v("shows", shows, OneOf{"anywhere", "cues"},
      "beside a sub-history's run at its end: older chunks by chance, or first those that saw a "
      "cue which the run needs, and a few with decoys (reads cue labels; for the first stage)");
    v("waypoint_weight", waypoint_weight, Range{0.0, 100.0}, "weight of the waypoint loss");
    v("target_weight", target_weight, Range{0.0, 100.0}, "weight of the target-identity loss");
    v("shown_weight", shown_weight, Range{0.0, 100.0},
      "of that loss where the expert names what it is shown, before there is a use for it");
    v("fresh_weight", fresh_weight, Range{0.0, 100.0},
      "of a target's loss in its first blocks, where no motion gives it away yet");
    v("unsure_weight", unsure_weight, Range{0.0, 100.0},
      "weight of the loss that wants every class alike where the cue is not in the history; under "
      "history: by_cues alone (reads cue labels)");
    v("places_weight", places_weight, Range{0.0, 100.0},
      "weight of the loss on where every class's target is");
    v("order_weight", order_weight, Range{0.0, 100.0},
      "weight of the loss on which cue a block sees (policy.cue_orders; reads cue labels)");
    v("square_weight", square_weight, Range{0.0, 100.0},
      "of the squared errors of places and waypoints, beside their size: gross errors, where one "
      "place is taken for another, are then learnt away sooner; at the end, where the likelier of "
      "two places is wanted and not their mean, 0");
    v("decision_weight", decision_weight, Range{0.0, 100.0},
      "weight of blocks of the decision "
      "and the way to it in the losses of actions, waypoints and places");
    v("decision_share", decision_share, Range{0.0, 1.0},
      "share of sub-histories that end after the first such block; the others end anywhere");
    v("fresh_share", fresh_share, Range{0.0, 1.0},
      "of those the share that ends right after a decision got its target: of a long decision all "
      "but its first blocks give the target away");
    v("emphasis", emphasis,
      "tasks that are sampled twice as often, or more: twice for each time that they are named");
    v("learns", learns, OneOf{"everything", "decoder", "heads"},
      "what is trained; decoder: decoder and heads behind the encoders of init_from, which see "
      "each demonstration once, beforehand; heads: on the rest of init_from");
    v("validate_every", validate_every, Range{1, 1000000}, "steps between validations");
    v("checkpoint_every", checkpoint_every, Range{1, 1000000}, "steps between resumable states");
  }
};

// A training of one stage.
struct TrainConfig : TrainSetup, TrainStage {
  template <class V>
  void Fields(V& v) {
    TrainSetup::Fields(v);
    TrainStage::Fields(v);
  }
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_TRAIN_CONFIG_H_
