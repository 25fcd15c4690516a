// SPDX-License-Identifier: Apache-2.0
#include "harness/language/needle.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "apps/language_common.h"
#include "base/files.h"
#include "base/json_text.h"

namespace kvla {
namespace {

struct NeedleFlags {
  std::string config, plot;
  std::vector<std::string> overrides;
  bool json = false;
};

int RunNeedleCommand(const AppContext& context, const NeedleFlags& flags) {
  NeedleConfig config;
  if (Status s =
          LoadLanguageStudy(context, flags.config, flags.overrides, CheckNeedleConfig, &config);
      !s.ok()) {
    return ReportStatus(s);
  }
  const size_t cells_in_all = config.arms.size() * config.lengths.size() * config.depths.size();
  const Result<std::vector<NeedleCell>> cells =
      RunLanguageStudy(context, "needle", static_cast<double>(cells_in_all) * config.trials,
                       [&](const auto& on_trial) { return RunNeedle(config, on_trial); });
  if (!cells.ok()) return ReportStatus(cells.status());
  if (!flags.plot.empty()) {
    if (Status s = WriteFileAtomic(flags.plot, NeedleSvg(config, *cells)); !s.ok()) {
      return ReportStatus(s.In("--plot"));
    }
  }
  Print("{}",
        flags.json ? JsonText(NeedleJson(config, *cells), 2) + "\n" : FormatNeedle(config, *cells));
  return kExitDone;
}

}  // namespace

CLI::App* AddNeedle(CLI::App& parent, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<NeedleFlags>();
  CLI::App* command = parent.add_subcommand(
      "needle", "Whether a language model finds a fact again in a long text, under each cache");
  command->add_option("config", flags->config, "YAML file: model, text, lengths, depths, caches")
      ->required();
  command->add_option("--set", flags->overrides, "Override: key.sub=value (repeatable)")
      ->allow_extra_args(false);
  command->add_option("--plot", flags->plot, "Write a heat map (SVG)");
  command->add_flag("--json", flags->json, "For programs");
  command->callback(
      [flags, &context, exit_code] { *exit_code = RunNeedleCommand(context, *flags); });
  return command;
}

}  // namespace kvla
