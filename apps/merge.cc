// SPDX-License-Identifier: Apache-2.0
#include "harness/eval/merge.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "base/streams.h"
#include "results/report/report.h"

namespace kvla {
namespace {

struct MergeFlags {
  std::string out;
  std::vector<std::string> runs;
};

int RunMerge(const MergeFlags& flags) {
  const Result<MergeSummary> merged = MergeRuns(flags.out, {flags.runs.begin(), flags.runs.end()});
  if (!merged.ok()) return ReportStatus(merged.status());
  const Result<RunStore> store = RunStore::Open(flags.out, RunStore::Mode::kReadOnly);
  if (!store.ok()) return ReportStatus(store.status());
  const Result<Report> report = BuildReport(*store);
  if (!report.ok()) return ReportStatus(report.status());
  Print("{}", FormatTable(*report));
  for (const std::string& note : merged->notes) Say("kvla: note: {}\n", note);
  const int missing = merged->planned - merged->episodes;
  Say("{} episodes in {} ({} added, {} planned)\n", merged->episodes, flags.out, merged->added,
      merged->planned);
  if (missing > 0) {
    Say("kvla: {} episodes are missing: finish the shards and merge again, or give this "
        "folder to kvla eval\n",
        missing);
  }
  return missing > 0 || merged->errors > 0 ? kExitEpisodeErrors : kExitDone;
}

}  // namespace

CLI::App* AddMerge(CLI::App& parent, const AppContext&, int* exit_code) {
  auto flags = std::make_shared<MergeFlags>();
  CLI::App* command = parent.add_subcommand("merge", "Put the shards of a run into one folder");
  command->add_option("out", flags->out, "Folder of the whole run")->required();
  command->add_option("runs", flags->runs, "Folders of the shards")->required();
  command->callback([flags, exit_code] { *exit_code = RunMerge(*flags); });
  return command;
}

}  // namespace kvla
