#include "results/report.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "apps/commands.h"

namespace kvla {
namespace {

struct ReportFlags {
  std::string folder;
  bool json = false, episodes = false;
};

int RunReport(const ReportFlags& flags) {
  const Result<RunStore> store = RunStore::Open(flags.folder, RunStore::Mode::kReadOnly);
  if (!store.ok()) return ReportStatus(store.status());
  const Result<Report> report = BuildReport(*store);
  if (!report.ok()) return ReportStatus(report.status());
  if (flags.json) {
    fmt::print("{}\n", ReportJson(*report, flags.episodes).dump(2));
    return kExitDone;
  }
  fmt::print("{}", FormatTable(*report));
  if (flags.episodes) {
    for (const EpisodeRow& row : report->episodes) {
      fmt::print("{}: {}, progress {:.2f}, {} steps, state {}{}\n", ToString(row.id), row.outcome,
                 row.progress, row.steps, row.state_hash,
                 row.error.empty() ? "" : ": " + row.error);
    }
  }
  return kExitDone;
}

}  // namespace

CLI::App* AddReport(CLI::App& parent, const AppContext&, int* exit_code) {
  auto flags = std::make_shared<ReportFlags>();
  CLI::App* command = parent.add_subcommand("report", "Print the table of a run");
  command->add_option("dir", flags->folder, "Folder of the run")->required();
  command->add_flag("--json", flags->json, "For programs");
  command->add_flag("--episodes", flags->episodes, "Every episode as well");
  command->callback([flags, exit_code] { *exit_code = RunReport(*flags); });
  return command;
}

}  // namespace kvla
