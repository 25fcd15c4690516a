// SPDX-License-Identifier: Apache-2.0
#include "apps/train_common.h"

#include <malloc.h>

#include <CLI/CLI.hpp>
#include <utility>

namespace kvla {

Result<DemoFilter> FilterForGate(const GateTrainSetup& config) {
  Result<DemoFilter> filter = FilterFor(std::filesystem::path(config.checkpoint));
  if (filter.ok() && !config.task.empty()) filter->tasks = {config.task};
  return filter;
}

void KeepMemory() {
  constexpr int kOneGigabyte = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kOneGigabyte);
  mallopt(M_TRIM_THRESHOLD, kOneGigabyte);
  mallopt(M_TOP_PAD, kOneGigabyte / 8);
}

CLI::App* AddTrainer(CLI::App& parent, const char* name, const char* help, int* exit_code,
                     std::function<int(const TrainFlags&)> run) {
  auto flags = std::make_shared<TrainFlags>();
  CLI::App* command = parent.add_subcommand(name, help);
  command->add_option("config", flags->config, "YAML file")->required();
  command->add_option("--set", flags->overrides, "Override: key.sub=value (repeatable)")
      ->allow_extra_args(false);
  command->add_flag("--dry-run", flags->dry_run, "Check, print the config, train nothing");
  command->callback([flags, exit_code, run = std::move(run)] { *exit_code = run(*flags); });
  return command;
}

}  // namespace kvla
