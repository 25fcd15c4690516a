// SPDX-License-Identifier: Apache-2.0
#include "harness/language/needle.h"

#include <CLI/CLI.hpp>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "base/config_io.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/streams.h"
#include "harness/eval/run_config.h"
#include "harness/workers/progress.h"

namespace kvla {
namespace {

struct NeedleFlags {
  std::string config, plot;
  std::vector<std::string> overrides;
  bool json = false;
};

int RunNeedleCommand(const AppContext& context, const NeedleFlags& flags) {
  NeedleConfig config;
  if (Status s = LoadConfigFile(flags.config, flags.overrides, &config); !s.ok()) {
    return ReportStatus(s);
  }
  if (Status s = CheckNeedleConfig(config); !s.ok()) return ReportStatus(s.In(flags.config));
  config.model = ResolvePath(config.model, context.asset_root).string();
  config.text = ResolvePath(config.text, context.asset_root).string();
  for (LanguageArm& arm : config.arms) {
    if (!arm.cache.gate.empty()) {
      arm.cache.gate = ResolvePath(arm.cache.gate, context.asset_root).string();
    }
  }
  const std::atomic<bool>* stop = CatchInterrupts();
  ProgressBar bar(
      StyleOfProgress(context), "needle",
      static_cast<double>(config.arms.size() * config.lengths.size() * config.depths.size()) *
          config.trials);
  const Result<std::vector<NeedleCell>> cells =
      RunNeedle(config, [&](int done, const std::string& arm) {
        bar.Update(done, arm);
        return !stop->load();
      });
  bar.Clear();
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
