// SPDX-License-Identifier: Apache-2.0
#include "apps/commands.h"
#include "apps/train_common.h"
#include "policy/compact/gate/gate_training.h"

namespace kvla {
namespace {

Result<DemoFilter> FilterOf(const GateTrainConfig& config) {
  Result<DemoFilter> filter = FilterFor(std::filesystem::path(config.checkpoint));
  if (filter.ok() && !config.task.empty()) filter->tasks = {config.task};
  return filter;
}

}  // namespace

CLI::App* AddTrainGate(CLI::App& parent, const AppContext& context, int* exit_code) {
  const auto run = [&context](const TrainFlags& flags) {
    Trainer<GateTrainConfig> trainer;
    trainer.filter = &FilterOf;
    trainer.folder = [](const GateTrainConfig& c) { return AbsolutePath(c.out).parent_path(); };
    trainer.train = &TrainGate;
    return RunTrainer(context, flags, trainer);
  };
  return AddTrainer(parent, "train-gate", "Train the chunk gate for a frozen policy", exit_code,
                    run);
}

}  // namespace kvla
