// SPDX-License-Identifier: Apache-2.0
#include "harness/language/perplexity.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "apps/language_common.h"
#include "base/json_text.h"

namespace kvla {
namespace {

struct PerplexityFlags {
  std::string config;
  std::vector<std::string> overrides;
  bool json = false;
};

int RunPerplexityCommand(const AppContext& context, const PerplexityFlags& flags) {
  PerplexityConfig config;
  if (Status s =
          LoadLanguageStudy(context, flags.config, flags.overrides, CheckPerplexityConfig, &config);
      !s.ok()) {
    return ReportStatus(s);
  }
  const double tokens = static_cast<double>(config.arms.size()) * (config.tokens - 1);
  const Result<std::vector<PerplexityRow>> rows =
      RunLanguageStudy(context, "tokens", tokens,
                       [&](const auto& on_token) { return RunPerplexity(config, on_token); });
  if (!rows.ok()) return ReportStatus(rows.status());
  Print("{}", flags.json ? JsonText(PerplexityJson(config, *rows), 2) + "\n"
                         : FormatPerplexity(config, *rows));
  return kExitDone;
}

}  // namespace

CLI::App* AddPerplexity(CLI::App& parent, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<PerplexityFlags>();
  CLI::App* command = parent.add_subcommand(
      "perplexity", "What cache methods cost a published language model on a text");
  command->add_option("config", flags->config, "YAML file: model, text, caches")->required();
  command->add_option("--set", flags->overrides, "Override: key.sub=value (repeatable)")
      ->allow_extra_args(false);
  command->add_flag("--json", flags->json, "For programs");
  command->callback(
      [flags, &context, exit_code] { *exit_code = RunPerplexityCommand(context, *flags); });
  return command;
}

}  // namespace kvla
