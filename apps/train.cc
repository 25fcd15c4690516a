#include "policy/train.h"

#include <CLI/CLI.hpp>

#include "apps/commands.h"
#include "apps/train_common.h"
#include "base/config_io.h"
#include "base/files.h"
#include "harness/demo_reader.h"

namespace kvla {
namespace {

int RunTrain(const TrainFlags& flags) {
  TrainConfig config;
  if (Status status = LoadConfigFile(flags.config, flags.overrides, &config); !status.ok()) {
    return ReportStatus(status);
  }
  DemoFilter filter;
  filter.cameras = config.policy.cameras;
  const Result<std::unique_ptr<DemoReader>> demos = DemoReader::Open(config.demos, filter);
  if (!demos.ok()) return ReportStatus(demos.status());
  const Result<std::unique_ptr<DemoReader>> validation =
      DemoReader::Open(config.validation, filter);
  if (!validation.ok()) return ReportStatus(validation.status());
  if (config.out.empty()) return ReportStatus(BadInput("'out' is empty: where to?"));
  if (Status status = CheckFolderWritable(config.out); !status.ok()) return ReportStatus(status);
  fmt::print(stderr, "{} training and {} validation demonstrations\n", (*demos)->size(),
             (*validation)->size());
  if (flags.dry_run) {
    fmt::print("{}", PrintConfig(config));
    return kExitDone;
  }
  TrainDisplay display("train");
  TrainHooks hooks;
  hooks.on_progress = [&display](const TrainProgress& p) { display.Show(p); };
  hooks.stop = CatchInterrupts();
  const Status status = Train(config, **demos, **validation, hooks);
  display.Finish();
  if (status.code() == StatusCode::kCancelled) {
    fmt::print(stderr, "kvla: the state is saved; the same command goes on from there\n");
  }
  return ReportStatus(status);
}

}  // namespace

CLI::App* AddTrain(CLI::App& parent, const AppContext&, int* exit_code) {
  auto flags = std::make_shared<TrainFlags>();
  CLI::App* command = parent.add_subcommand("train", "Train the policy on demonstrations");
  command->add_option("config", flags->config, "YAML file")->required();
  command->add_option("--set", flags->overrides, "Override: key.sub=value (repeatable)")
      ->allow_extra_args(false);
  command->add_flag("--dry-run", flags->dry_run, "Check, print the config, train nothing");
  command->callback([flags, exit_code] { *exit_code = RunTrain(*flags); });
  return command;
}

}  // namespace kvla
