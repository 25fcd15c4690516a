// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/suite_flags.h"
#include "base/streams.h"
#include "base/text.h"
#include "harness/certify/certificate.h"
#include "harness/certify/expert_trials.h"
#include "harness/workers/progress.h"
#include "tasks/task_list.h"

namespace kvla {
namespace {

constexpr int kMostEpisodes = 100000;

struct CertifyFlags {
  std::string task;
  std::string delay;
  TaskOptions suite;
  CertifyOptions episodes;
  std::string disturbance = "none";
  bool probe = false;
  ProbeOptions probe_sizes;
  bool rules = false;
  RuleOptions rule_sizes;
  std::filesystem::path out;
  bool json = false;
};

struct Cell {
  std::shared_ptr<Task> task;
  std::string delay;
};

Result<std::vector<Cell>> Cells(const AppContext& context, const CertifyFlags& flags) {
  std::vector<std::string> names = TaskNames();
  if (!flags.task.empty()) names = {flags.task};
  std::vector<Cell> cells;
  std::vector<std::string> delays;
  for (const std::string& name : names) {
    Result<std::unique_ptr<Task>> made = MakeTask(name, context.asset_root, flags.suite);
    if (!made.ok()) return made.status();
    const std::shared_ptr<Task> task = *std::move(made);
    for (const std::string& delay : task->info().delays) {
      if (flags.delay.empty() || flags.delay == delay) cells.push_back({task, delay});
      if (!delay.empty() && std::ranges::find(delays, delay) == delays.end()) {
        delays.push_back(delay);
      }
    }
  }
  if (cells.empty()) {
    return BadInput(
        fmt::format("--delay {}: should be one of {}", flags.delay, Join(delays, ", ")));
  }
  return cells;
}

int RunCertify(const AppContext& context, const CertifyFlags& flags) {
  const std::atomic<bool>* cancel = CatchInterrupts();
  CertifySettings settings{
      .suite = flags.suite, .episodes = flags.episodes, .probe = {}, .rules = {}};
  const Result<DisturbanceLevel> level = ParseDisturbance(flags.disturbance);
  if (!level.ok()) return ReportStatus(level.status());
  settings.episodes.disturbance = *level;
  if (flags.probe) settings.probe = flags.probe_sizes;
  if (flags.rules) settings.rules = flags.rule_sizes;
  Result<CertificateFile> file = CertificateFile::Open(flags.out, settings);
  if (!file.ok()) return ReportStatus(file.status());
  const Result<std::vector<Cell>> cells = Cells(context, flags);
  if (!cells.ok()) return ReportStatus(cells.status());
  if (file->size() > 0) Say("{} certificates there already\n", file->size());
  const ProgressStyle style = StyleOfProgress(context);
  int number = 0;
  for (const Cell& cell : *cells) {
    ++number;
    if (file->Has(cell.task->info().name, cell.delay)) continue;
    std::optional<ProgressBar> bar;
    std::string shown;
    const Result<Certificate> certificate = MakeCertificate(
        *cell.task, cell.delay, settings, [&](const std::string& what, int done, int total) {
          if (what != shown) {
            if (bar) bar->Clear();
            bar.emplace(style, fmt::format("{}/{} {}", number, cells->size(), what), total);
            shown = what;
          }
          bar->Update(done);
          return !cancel->load();
        });
    if (bar) bar->Clear();
    if (!certificate.ok()) {
      if (!flags.out.empty()) {
        Say("{} certificates are kept in {}; the same command goes on\n", file->size(),
            flags.out.string());
      }
      return ReportStatus(certificate.status());
    }
    if (Status s = file->Add(*certificate); !s.ok()) return ReportStatus(s);
    if (flags.json) continue;
    Print("{}\n", certificate->Line());
    FlushStdout();
    if (flags.out.empty() && !StdoutIsWhole()) break;  // nothing would keep the rest
  }
  if (flags.json) Print("{}", file->Text());
  return file->AllPassed() ? kExitDone : kExitEpisodeErrors;
}

}  // namespace

CLI::App* AddCertify(CLI::App& parent, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<CertifyFlags>();
  CLI::App* command = parent.add_subcommand(
      "certify", "Check that the expert solves a task, and not without the cue");
  command->add_option("task", flags->task, "Task; all without it");
  command->add_option("--delay", flags->delay, "Only this delay");
  AddSuiteFlags(*command, &flags->suite);
  const auto number = [command](const char* name, int* value, int least, int most,
                                const char* help) {
    command->add_option(name, *value, help)->check(CLI::Range(least, most))->capture_default_str();
  };
  number("--episodes", &flags->episodes.episodes, 1, kMostEpisodes, "Episodes of a task and delay");
  number("--blind-episodes", &flags->episodes.blind_episodes, 0, kMostEpisodes,
         "Episodes without the cue; 0: as many as tell chance from 10 points above it");
  number("--threads", &flags->episodes.threads, 1, 256, "Episodes at a time");
  command->add_option("--seed", flags->episodes.run_seed, "Run seed")->capture_default_str();
  command
      ->add_option("--disturbance", flags->disturbance,
                   "Loose objects are knocked about: none, mild or strong")
      ->capture_default_str();
  command->add_flag("--probe", flags->probe,
                    "Also train classifiers on what is seen when the decision opens, then and in "
                    "the window: they must stay at chance");
  number("--probe-train", &flags->probe_sizes.train_episodes, 10, kMostEpisodes,
         "Episodes to train the classifiers on");
  number("--probe-episodes", &flags->probe_sizes.held_out_episodes, 10, kMostEpisodes,
         "Episodes to test them on");
  command->add_flag("--rules", flags->rules,
                    "Also count how often fixed rules and one that keeps changed pixels hold the "
                    "cue: no more often than their bytes explain");
  number("--rule-episodes", &flags->rule_sizes.episodes, 10, kMostEpisodes,
         "Schedules to count on; nothing is run");
  number("--novelty-episodes", &flags->rule_sizes.novelty_episodes, 0, kMostEpisodes,
         "Episodes to look at for changed pixels; 0: leaves that rule out");
  command->add_option(
      "--out", flags->out,
      "JSON file, written after each task and delay; the same command goes on with it");
  command->add_flag("--json", flags->json, "For programs");
  command->callback([flags, &context, exit_code] { *exit_code = RunCertify(context, *flags); });
  return command;
}

}  // namespace kvla
