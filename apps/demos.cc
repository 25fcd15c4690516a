// SPDX-License-Identifier: Apache-2.0
#include "harness/demos/demos.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "base/config_io.h"
#include "base/streams.h"
#include "harness/workers/progress.h"

namespace kvla {
namespace {

struct DemosFlags {
  std::string config, out;
  std::vector<std::string> overrides;
  int workers = 1;
  bool dry_run = false;
};

int RunDemos(const AppContext& context, const DemosFlags& flags) {
  DemosConfig config;
  if (Status status = LoadConfigFile(flags.config, flags.overrides, &config); !status.ok()) {
    return ReportStatus(status);
  }
  DemosOptions options;
  options.out = flags.out;
  options.asset_root = context.asset_root;
  options.workers = flags.workers;
  options.dry_run = flags.dry_run;
  options.command = SelfAsWorker(context);
  options.progress = StyleOfProgress(context);
  options.cancel = CatchInterrupts();
  const Result<DemosSummary> summary = GenerateDemos(config, options);
  if (!summary.ok()) {
    if (summary.status().code() == StatusCode::kCancelled) {
      Say("kvla: complete shards stay; the same command goes on from there\n");
    }
    return ReportStatus(summary.status());
  }
  if (flags.dry_run) {
    Print("{}", PrintConfig(config));
    return kExitDone;
  }
  Print(
      "{} episodes ({} control steps) in {}; {} failed and {} diverged, left out; {} of {} "
      "shards were there already; {}\n",
      summary->episodes, summary->control_steps, flags.out, summary->failed, summary->diverged,
      summary->skipped_shards, summary->shards, DurationText(summary->wall_s));
  return kExitDone;
}

}  // namespace

CLI::App* AddDemos(CLI::App& parent, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<DemosFlags>();
  CLI::App* command = parent.add_subcommand("demos", "Record demonstrations by the experts");
  command->add_option("config", flags->config, "YAML file: what to record")->required();
  command->add_option("--out", flags->out, "Folder for the HDF5 files")->required();
  command->add_option("--set", flags->overrides, "Override: key.sub=value (repeatable)")
      ->allow_extra_args(false);
  command->add_option("--workers", flags->workers, "Worker processes")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_flag("--dry-run", flags->dry_run, "Check, estimate, and write nothing");
  command->callback([flags, &context, exit_code] { *exit_code = RunDemos(context, *flags); });
  return command;
}

}  // namespace kvla
