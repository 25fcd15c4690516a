// SPDX-License-Identifier: Apache-2.0
// `kvla train`: a config with `stages` is a chain of trainings (harness/train/chain.h), another is
// one training.
#include "policy/compact/training/train.h"

#include "apps/commands.h"
#include "apps/train_common.h"
#include "base/config_compose.h"
#include "harness/train/chain.h"

namespace kvla {
namespace {

int RunChainCommand(const AppContext& context, const TrainFlags& flags) {
  ChainConfig config;
  if (Status s = LoadConfigFile(flags.config, flags.overrides, &config); !s.ok()) {
    return ReportStatus(s);
  }
  const Result<ChainLook> look = LookAtChain(config);
  if (!look.ok()) return ReportStatus(look.status());
  if (Status s = CheckFolderWritable(config.out); !s.ok()) return ReportStatus(s);
  Say("{} training and {} validation demonstrations; {} of {} stages are done\n", look->training,
      look->validation, look->done.size(), config.stages.size());
  if (flags.dry_run) {
    Print("{}", PrintConfig(config));
    return kExitDone;
  }
  KeepMemory();
  ChainOptions options;
  options.asset_root = context.asset_root;
  options.progress = StyleOfProgress(context);
  options.command = SelfAsWorker(context);
  options.cancel = CatchInterrupts();
  const Status status = RunChain(config, options);
  if (status.code() == StatusCode::kCancelled) Say("kvla: the same command goes on from there\n");
  return ReportStatus(status);
}

int RunTraining(const AppContext& context, const TrainFlags& flags) {
  Trainer<TrainConfig> trainer;
  trainer.filter = [](const TrainConfig& c) -> Result<DemoFilter> {
    // The sizes are then those of the policy that it starts from.
    if (c.init_from.empty()) return FilterFor(c.policy);
    return FilterFor(std::filesystem::path(c.init_from));
  };
  trainer.folder = [](const TrainConfig& c) { return std::filesystem::path(c.out); };
  trainer.train = &Train;
  return RunTrainer(context, flags, trainer);
}

}  // namespace

CLI::App* AddTrain(CLI::App& parent, const AppContext& context, int* exit_code) {
  const auto run = [&context](const TrainFlags& flags) {
    const Result<ConfigNode> config = LoadComposedFile(flags.config);
    if (!config.ok()) return ReportStatus(config.status());
    const bool in_stages = config->Find("stages") != nullptr;
    return in_stages ? RunChainCommand(context, flags) : RunTraining(context, flags);
  };
  return AddTrainer(parent, "train", "Train the policy on demonstrations; resumes where it stopped",
                    exit_code, run);
}

}  // namespace kvla
