#include <CLI/CLI.hpp>

#include "apps/commands.h"
#include "apps/train_common.h"
#include "base/config_io.h"
#include "base/files.h"
#include "harness/demo_reader.h"
#include "policy/gate_training.h"
#include "policy/policy_config.h"

namespace kvla {
namespace {

int RunTrainGate(const TrainFlags& flags) {
  GateTrainConfig config;
  if (Status status = LoadConfigFile(flags.config, flags.overrides, &config); !status.ok()) {
    return ReportStatus(status);
  }
  PolicyConfig policy;
  const std::filesystem::path policy_file =
      std::filesystem::path(config.checkpoint) / "config.yaml";
  if (Status status = LoadConfigFile(policy_file, {}, &policy); !status.ok()) {
    return ReportStatus(status);
  }
  DemoFilter filter;
  filter.cameras = policy.cameras;
  if (!config.task.empty()) filter.tasks = {config.task};
  const Result<std::unique_ptr<DemoReader>> demos = DemoReader::Open(config.demos, filter);
  if (!demos.ok()) return ReportStatus(demos.status());
  const Result<std::unique_ptr<DemoReader>> validation =
      DemoReader::Open(config.validation, filter);
  if (!validation.ok()) return ReportStatus(validation.status());
  if (config.out.empty()) return ReportStatus(BadInput("'out' is empty: where to?"));
  const std::filesystem::path folder = std::filesystem::absolute(config.out).parent_path();
  if (Status status = CheckFolderWritable(folder); !status.ok()) return ReportStatus(status);
  if (flags.dry_run) {
    fmt::print("{}", PrintConfig(config));
    return kExitDone;
  }
  TrainDisplay display("train-gate");
  TrainHooks hooks;
  hooks.on_progress = [&display](const TrainProgress& p) { display.Show(p); };
  hooks.stop = CatchInterrupts();
  const Status status = TrainGate(config, **demos, **validation, hooks);
  display.Finish();
  return ReportStatus(status);
}

}  // namespace

CLI::App* AddTrainGate(CLI::App& parent, const AppContext&, int* exit_code) {
  auto flags = std::make_shared<TrainFlags>();
  CLI::App* command =
      parent.add_subcommand("train-gate", "Train the chunk gate for a frozen policy");
  command->add_option("config", flags->config, "YAML file")->required();
  command->add_option("--set", flags->overrides, "Override: key.sub=value (repeatable)")
      ->allow_extra_args(false);
  command->add_flag("--dry-run", flags->dry_run, "Check, print the config, train nothing");
  command->callback([flags, exit_code] { *exit_code = RunTrainGate(*flags); });
  return command;
}

}  // namespace kvla
