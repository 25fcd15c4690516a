// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "apps/commands.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/streams.h"
#include "results/report/run_list.h"

namespace kvla {
namespace {

int RunRuns(const std::string& folder, bool json) {
  if (!IsFolder(folder)) return ReportStatus(BadInput(folder + ": no such folder"));
  const std::vector<RunListing> runs = ListRuns(folder);
  Print("{}", json ? JsonText(RunListJson(runs), 2) + "\n" : FormatRunList(runs));
  return kExitDone;
}

}  // namespace

CLI::App* AddRuns(CLI::App& parent, const AppContext&, int* exit_code) {
  auto folder = std::make_shared<std::string>("runs");
  auto json = std::make_shared<bool>(false);
  CLI::App* command = parent.add_subcommand("runs", "The runs below a folder and their state");
  command->add_option("folder", *folder, "Folder to look into")->capture_default_str();
  command->add_flag("--json", *json, "For programs");
  command->callback([folder, json, exit_code] { *exit_code = RunRuns(*folder, *json); });
  return command;
}

}  // namespace kvla
