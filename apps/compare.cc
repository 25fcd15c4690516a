// SPDX-License-Identifier: Apache-2.0
#include "results/report/compare.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/commands.h"
#include "base/json_text.h"
#include "base/streams.h"
#include "base/text.h"

namespace kvla {
namespace {

struct CompareFlags {
  std::vector<std::string> folders;
  CompareOptions options;
  bool json = false, episodes = false;
};

int RunCompare(const CompareFlags& flags) {
  std::vector<RunStore> runs;
  for (const std::string& folder : flags.folders) {
    Result<RunStore> run = RunStore::Open(folder, RunStore::Mode::kReadOnly);
    if (!run.ok()) return ReportStatus(run.status());
    runs.push_back(*std::move(run));
  }
  const Result<Comparison> comparison = CompareRuns(runs, flags.options);
  if (!comparison.ok()) return ReportStatus(comparison.status());
  if (flags.json) {
    for (const std::string& note : comparison->notes) Say("kvla: note: {}\n", PrintableLine(note));
    Print("{}\n", JsonText(ComparisonJson(*comparison), 2));
  } else {
    Print("{}", FormatComparison(*comparison, flags.episodes));
  }
  return kExitDone;
}

}  // namespace

CLI::App* AddCompare(CLI::App& parent, const AppContext&, int* exit_code) {
  auto flags = std::make_shared<CompareFlags>();
  CLI::App* command = parent.add_subcommand(
      "compare", "Arms side by side on the same episodes, of one run or more");
  command->add_option("runs", flags->folders, "Folders of runs")->required();
  command->add_option("--arms", flags->options.arms, "Only these, as in gated,full (arm@folder)")
      ->delimiter(',');
  command->add_option("--against", flags->options.against,
                      "The reference; else 'full', else the first arm");
  command->add_flag("--intersect", flags->options.intersect,
                    "Arms on different episodes: compare those that all have");
  command
      ->add_option("--margin", flags->options.margin_points,
                   "Points that an arm may be worse and still count as non-inferior")
      ->check(CLI::Range(0.01, 100.0))
      ->capture_default_str();
  command
      ->add_option("--pairs", flags->options.planned_pairs,
                   "Say what this many pairs could find, instead of those that are there")
      ->check(CLI::Range(1, 5000));
  command->add_flag("--episodes", flags->episodes, "Every episode, not only the disagreements");
  command->add_flag("--json", flags->json, "For programs");
  command->callback([flags, exit_code] { *exit_code = RunCompare(*flags); });
  return command;
}

}  // namespace kvla
