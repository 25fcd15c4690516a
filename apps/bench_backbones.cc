// SPDX-License-Identifier: Apache-2.0
#include "apps/bench_backbones.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "apps/language_common.h"
#include "base/files.h"
#include "base/json_text.h"
#include "harness/bench/backbone_bench.h"
#include "harness/bench/backbone_report.h"
#include "harness/bench/machine_limits.h"

namespace kvla {
namespace {

struct BackbonesFlags {
  std::string config, out, plot;
  std::vector<std::string> overrides;
  bool json = false;
};

int RunBenchBackbones(const AppContext& context, const BackbonesFlags& flags) {
  BackboneBenchConfig config;
  if (Status s = LoadConfigFile(flags.config, flags.overrides, &config); !s.ok()) {
    return ReportStatus(s);
  }
  if (Status s = CheckBackboneBench(config); !s.ok()) return ReportStatus(s.In(flags.config));
  std::vector<BackboneShape> shapes;
  for (const std::string& name : config.backbones) shapes.push_back(*BackboneShapeNamed(name));
  UseOneCore();
  const Result<nlohmann::json> report = RunLanguageStudy(
      context, "backbones", BackboneSteps(shapes.size(), config),
      [&](const auto& on_step) { return BenchBackbones(shapes, config, on_step); });
  if (!report.ok()) return ReportStatus(report.status());
  const std::string json = JsonText(*report, 2) + "\n";
  for (const auto& [flag, file, make] :
       {std::tuple{"--out", flags.out, std::function([&] { return json; })},
        std::tuple{"--plot", flags.plot, std::function([&] { return BackboneSvg(*report); })}}) {
    if (file.empty()) continue;
    if (Status s = WriteFileAtomic(file, make()); !s.ok()) return ReportStatus(s.In(flag));
  }
  PrintText(flags.json ? json : BackboneTable(*report));
  return kExitDone;
}

}  // namespace

void AddBackboneBench(CLI::App& bench, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<BackbonesFlags>();
  CLI::App* command = bench.add_subcommand(
      "backbones", "What a history costs the published backbones, layer by layer, random weights");
  command->add_option("config", flags->config, "YAML file: backbones, histories, kept shares")
      ->required();
  command->add_option("--set", flags->overrides, "Override: key.sub=value (repeatable)")
      ->allow_extra_args(false);
  command->add_option("--out", flags->out, "Write every figure beside the table (JSON)");
  command->add_option("--plot", flags->plot, "Write seconds by inferences (SVG)");
  command->add_flag("--json", flags->json, "For programs: every figure, in place of the table");
  command->callback(
      [flags, &context, exit_code] { *exit_code = RunBenchBackbones(context, *flags); });
}

}  // namespace kvla
