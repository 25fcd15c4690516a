// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/commands.h"
#include "base/config_io.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/numbers.h"
#include "base/streams.h"
#include "base/text.h"
#include "harness/analyze/analysis.h"
#include "harness/analyze/analysis_report.h"
#include "harness/eval/run_config.h"
#include "kv_efficient/methods/method_table.h"

namespace kvla {
namespace {

struct AnalyzeFlags {
  std::string dump, cache, plot;
  std::vector<std::string> overrides, cue_blocks;
  bool json = false;
};

// "3:5" of --cue-blocks.
Result<std::pair<int, int>> ParseBlocks(const std::string& text) {
  constexpr int64_t kMost = 1'000'000'000;
  const size_t colon = std::min(text.find(':'), text.size());
  const Result<int64_t> begin = ParseInteger(std::string_view(text).substr(0, colon));
  const Result<int64_t> end =
      ParseInteger(std::string_view(text).substr(std::min(colon + 1, text.size())));
  if (!begin.ok() || !end.ok() || *begin < 0 || *end > kMost || *begin >= *end) {
    return BadInput(fmt::format("--cue-blocks {}: expected first:end, as in 3:5 for blocks 3 and 4",
                                PrintableLine(text)));
  }
  return std::pair(static_cast<int>(*begin), static_cast<int>(*end));
}

int RunAnalyze(const AppContext& context, const AnalyzeFlags& flags) {
  CacheConfig config;
  if (Status s = LoadConfigFile(flags.cache, flags.overrides, &config); !s.ok()) {
    return ReportStatus(s);
  }
  if (Status s = ValidateCacheConfig(config); !s.ok()) return ReportStatus(s.In(flags.cache));
  if (!config.gate.empty()) config.gate = ResolvePath(config.gate, context.asset_root).string();
  std::vector<std::pair<int, int>> cues;
  for (const std::string& text : flags.cue_blocks) {
    const Result<std::pair<int, int>> blocks = ParseBlocks(text);
    if (!blocks.ok()) return ReportStatus(blocks.status());
    cues.push_back(*blocks);
  }
  const Result<Analysis> analysis = AnalyzeDumpFile(flags.dump, config, cues);
  if (!analysis.ok()) return ReportStatus(analysis.status());
  if (const std::string warning = GateKeepWarning(config); !warning.empty()) {
    Say("kvla: warning: {}\n", PrintableLine(warning));
  }
  if (!flags.plot.empty()) {
    const std::string title = config.policy + " on " + flags.dump;
    if (Status s = WriteFileAtomic(flags.plot, AnalysisSvg(*analysis, title)); !s.ok()) {
      return ReportStatus(s.In("--plot"));
    }
  }
  Print("{}", flags.json ? JsonText(AnalysisJson(*analysis), 2) + "\n" : FormatAnalysis(*analysis));
  return kExitDone;
}

}  // namespace

CLI::App* AddAnalyze(CLI::App& parent, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<AnalyzeFlags>();
  CLI::App* command = parent.add_subcommand(
      "analyze", "A cache method over keys, values and queries dumped from any model");
  command
      ->add_option("dump", flags->dump, "safetensors file: keys, values, queries (docs/analyze.md)")
      ->required();
  command->add_option("--cache", flags->cache, "YAML file: the cache, as an arm's (config cache)")
      ->required();
  command->add_option("--set", flags->overrides, "Override: key=value (repeatable)")
      ->allow_extra_args(false);
  command
      ->add_option("--cue-blocks", flags->cue_blocks,
                   "For oracle: the blocks that it is told, as in 3:5,9:10")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--plot", flags->plot,
                      "Write a picture (SVG): errors and bytes by block, chunks with their scores");
  command->add_flag("--json", flags->json, "For programs");
  command->callback([flags, &context, exit_code] { *exit_code = RunAnalyze(context, *flags); });
  return command;
}

}  // namespace kvla
