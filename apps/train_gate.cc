#include "apps/commands.h"
#include "apps/train_common.h"
#include "policy/gate_training.h"
#include "policy/policy_config.h"

namespace kvla {
namespace {

Result<DemoFilter> FilterOf(const GateTrainConfig& config) {
  PolicyConfig policy;
  const std::filesystem::path file = std::filesystem::path(config.checkpoint) / "config.yaml";
  if (Status status = LoadConfigFile(file, {}, &policy); !status.ok()) return status;
  DemoFilter filter;
  filter.cameras = policy.cameras;
  if (!config.task.empty()) filter.tasks = {config.task};
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
