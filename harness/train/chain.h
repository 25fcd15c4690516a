// SPDX-License-Identifier: Apache-2.0
// Runs a training in stages, and goes on with it where it was stopped.
//
//   OUT/config.yaml, model.safetensors   the policy: the last stage's
//   OUT/loss_NAME.csv                    a stage's curve
//   OUT/stages.csv                       wall seconds of each stage
//   OUT/chain.yaml                       the settings, resolved
//   OUT/stages/NAME/                     a stage: a checkpoint, or a round's demonstrations
#ifndef KVLA_HARNESS_TRAIN_CHAIN_H_
#define KVLA_HARNESS_TRAIN_CHAIN_H_

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>

#include "base/status.h"
#include "harness/train/chain_config.h"
#include "harness/workers/progress.h"
#include "harness/workers/worker_pool.h"
#include "policy/compact/training/train.h"

namespace kvla {

struct ChainOptions {
  std::filesystem::path asset_root;
  ProgressStyle progress = ProgressStyle::kLines;
  WorkerCommand command;  // of a round's workers
  const std::atomic<bool>* cancel = nullptr;
  // Told of each training step, by stage; null: nobody is.
  std::function<void(const std::string&, const TrainProgress&)> on_progress;
};

// What one would see of it before it runs.
struct ChainLook {
  int training = 0, validation = 0;  // demonstrations
  std::vector<std::string> done;     // stages that are
};

// BadInput before anything is written: the config is not good (CheckChain()), there are no such
// demonstrations, or OUT holds another chain; what differs is named.
Result<ChainLook> LookAtChain(const ChainConfig& config);

// Trains what is missing; the demonstrations are read once and kept packed. kCancelled after a
// stop; the same call then goes on. Ends with the same weights as if nothing had stopped it.
Status RunChain(const ChainConfig& config, const ChainOptions& options);

}  // namespace kvla

#endif  // KVLA_HARNESS_TRAIN_CHAIN_H_
