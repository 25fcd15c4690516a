// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "apps/command_line.h"
#include "apps/commands.h"
#include "base/streams.h"
#include "base/text.h"

namespace kvla {
namespace {

int RunHelp(const CLI::App& program, const std::vector<std::string>& words) {
  const CLI::App* command = &program;
  std::string name = "kvla";
  for (const std::string& word : words) {
    const std::vector<std::string> known = SubcommandNames(*command);
    if (std::ranges::find(known, word) == known.end()) {
      return ReportStatus(BadInput(fmt::format("{} has no subcommand '{}'{}{}", name, word,
                                               known.empty() ? "" : ", only " + Join(known, ", "),
                                               DidYouMean(word, known))));
    }
    command = command->get_subcommand(word);
    name += " " + word;
  }
  Print("{}", command->get_formatter()->make_help(command, name, CLI::AppFormatMode::Normal));
  return kExitDone;
}

}  // namespace

CLI::App* AddHelp(CLI::App& parent, const AppContext&, int* exit_code) {
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* command = parent.add_subcommand("help", "What a subcommand does and takes");
  command->add_option("subcommand", *words, "Subcommand; all without it");
  command->callback([words, &parent, exit_code] { *exit_code = RunHelp(parent, *words); });
  return command;
}

}  // namespace kvla
