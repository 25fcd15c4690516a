// SPDX-License-Identifier: Apache-2.0
// Behaviour cloning over whole episodes and chunk-aligned sub-histories.
#ifndef KVLA_POLICY_COMPACT_TRAINING_TRAIN_H_
#define KVLA_POLICY_COMPACT_TRAINING_TRAIN_H_

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "policy/compact/training/demo_source.h"
#include "policy/compact/training/train_config.h"

namespace kvla {

struct TrainProgress {
  const char* phase = "";  // what the steps count
  int step = 0, steps = 0;
  double loss = 0, seconds_per_step = 0;
  std::string note;  // validation figures, when there are new ones
};

// What frozen encoders made of demonstrations, for the trainings after the first behind the same
// ones.
class EncodedDemos;
std::shared_ptr<EncodedDemos> MakeEncodedDemos();

struct TrainHooks {
  std::function<void(const TrainProgress&)> on_progress;
  std::function<void(const std::string&)> on_note;  // what a person should know
  const std::atomic<bool>* stop = nullptr;  // checked between steps; the state is saved first
  std::filesystem::path text_encoder;       // folder of the sentence encoder, for text: minilm
  std::shared_ptr<EncodedDemos> encoded;    // null: nothing is kept
};

// Trains (or resumes: the state lies in out/state), writes out/{config.yaml, model.safetensors,
// loss.csv}. kCancelled after a stop. Deterministic for a seed, build and thread count. BadInput
// where the folder holds another training (see policy/compact/training/train_resume.h), or another
// process writes there.
Status Train(const TrainConfig& config, DemoSource& demos, DemoSource& validation,
             const TrainHooks& hooks);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_TRAIN_H_
