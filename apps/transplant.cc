// SPDX-License-Identifier: Apache-2.0
#include "harness/transplant/transplant.h"

#include <CLI/CLI.hpp>
#include <atomic>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "base/config_io.h"
#include "base/json_text.h"
#include "base/streams.h"
#include "harness/transplant/transplant_report.h"
#include "harness/workers/progress.h"

namespace kvla {
namespace {

struct TransplantFlags {
  std::string config;
  std::vector<std::string> overrides;
  std::filesystem::path out;
  int threads = 1;
  bool json = false;
};

int RunTransplantCommand(const AppContext& context, const TransplantFlags& flags) {
  TransplantConfig config;
  if (Status s = LoadConfigFile(flags.config, flags.overrides, &config); !s.ok()) {
    return ReportStatus(s);
  }
  const Result<TransplantPlan> plan = PlanTransplant(config, context.asset_root);
  if (!plan.ok()) return ReportStatus(plan.status().In(flags.config));
  const Result<std::string> hash = CheckPolicies(plan->run);
  if (!hash.ok()) return ReportStatus(hash.status());
  Result<TransplantLog> log = TransplantLog::Open(flags.out, config, *hash);
  if (!log.ok()) return ReportStatus(log.status());
  if (!log->trials().empty()) Say("{} episodes there already\n", log->trials().size());
  const std::vector<EpisodeJob> missing = MissingJobs(*plan, *log);
  const auto total = static_cast<double>(plan->run.jobs.size());
  const double there = total - static_cast<double>(missing.size());
  const std::atomic<bool>* stop = CatchInterrupts();
  ProgressBar bar(StyleOfProgress(context), "transplant", total, there);
  const Status status = RunTransplant(
      *plan, missing, flags.threads,
      [&](int done, int) {
        bar.Update(there + done);
        return !stop->load();
      },
      &*log);
  bar.Clear();
  if (!status.ok()) {
    if (!flags.out.empty()) {
      Say("{} episodes are kept in {}; the same command goes on\n", log->trials().size(),
          flags.out.string());
    }
    return ReportStatus(status);
  }
  const std::vector<TransplantRow> rows = TransplantRows(*plan, log->trials());
  Print("{}",
        flags.json ? JsonText(TransplantJson(config, rows), 2) + "\n" : FormatTransplant(rows));
  return kExitDone;
}

}  // namespace

CLI::App* AddTransplant(CLI::App& parent, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<TransplantFlags>();
  CLI::App* command = parent.add_subcommand(
      "transplant", "Whether the kept chunk decides: give episodes the chunks of another cue");
  command->add_option("config", flags->config, "YAML file: policy, tasks, caches")->required();
  command->add_option("--set", flags->overrides, "Override: key.sub=value (repeatable)")
      ->allow_extra_args(false);
  command->add_option("--out", flags->out,
                      "File of the episodes, written after each; the same command goes on with it");
  command->add_option("--threads", flags->threads, "Episodes at a time")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "For programs");
  command->callback(
      [flags, &context, exit_code] { *exit_code = RunTransplantCommand(context, *flags); });
  return command;
}

}  // namespace kvla
