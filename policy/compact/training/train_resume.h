// SPDX-License-Identifier: Apache-2.0
// Which training a folder holds, and whether another may go on with it.
#ifndef KVLA_POLICY_COMPACT_TRAINING_TRAIN_RESUME_H_
#define KVLA_POLICY_COMPACT_TRAINING_TRAIN_RESUME_H_

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/status.h"
#include "policy/compact/training/demo_corpus.h"
#include "policy/compact/training/train.h"

namespace kvla {

// A training as its weights tell of it.
struct KeptTraining {
  TrainConfig config;
  std::string demonstrations;  // DemosText() of both sets; empty in files before this was kept
  std::string start;           // CheckpointHash() of init_from; empty: none, or as above
  int steps = 0;               // done
};

// "240 demonstrations, 0123456789abcdef": equal for equal demonstrations in the same order.
std::string DemosText(const DemoCorpus& demos);

// What SaveCheckpoint() is to write beside the weights.
std::map<std::string, std::string> TrainingNotes(const KeptTraining& training, int steps);

// A training's curve, a line a step, in its folder.
inline constexpr char kCurveFile[] = "loss.csv";
// Begins it, or takes off it what was written after the step that a training goes on from.
Status CutCurve(const std::filesystem::path& file, int steps);

// nullopt: neither weights nor a state. BadInput: weights that no `kvla train` made, or a state
// without them.
Result<std::optional<KeptTraining>> ReadKeptTraining(const std::filesystem::path& folder);

// BadInput naming each setting of `now` that changes what is learnt, or that it starts from other
// weights (`start`, see KeptTraining). There may be more steps, and how many threads, how often it
// is looked at or saved and in what format may differ; so may where the weights lie that it starts
// from, and the demonstrations, once CheckSameDemos() can tell whether they are the same.
Status CheckSameTraining(const KeptTraining& was, const TrainConfig& now, const std::string& start);
Status CheckSameDemos(const KeptTraining& was, const KeptTraining& now);

// The same of a gate that would be overwritten: one is trained anew under the same settings alone
// (of a policy that has learnt more, say). `config`: its settings, as YAML. Ok where `out` is not
// there.
Status CheckSameGate(const std::string& out, const std::string& config);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_TRAIN_RESUME_H_
