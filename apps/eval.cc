#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "base/config_io.h"
#include "harness/batch.h"
#include "harness/progress.h"
#include "results/report.h"

namespace kvla {
namespace {

struct EvalFlags {
  std::string config, out;
  std::vector<std::string> overrides;
  int workers = 1;
  bool dry_run = false;
};

Status PrintReport(const std::string& out) {
  Result<RunStore> store = RunStore::Open(out, RunStore::Mode::kReadOnly);
  if (!store.ok()) return store.status();
  const Result<Report> report = BuildReport(*store);
  if (!report.ok()) return report.status();
  fmt::print("{}", FormatTable(*report));
  return {};
}

void PrintPlan(const RunPlan& plan, int done) {
  std::set<std::string> cells;
  for (const EpisodeJob& job : plan.jobs) {
    cells.insert(job.task + (job.delay.empty() ? "" : "/" + job.delay));
  }
  fmt::print("{}", PrintConfig(plan.config));
  fmt::print(
      "# {} arms x {} cells x {} episodes = {} episodes, {} there already; the longest has "
      "{} inferences\n",
      plan.config.arms.size(), cells.size(), plan.config.episodes, plan.jobs.size(), done,
      plan.max_blocks - 1);
}

int RunEval(const AppContext& context, const EvalFlags& flags) {
  RunConfig config;
  if (Status status = LoadConfigFile(flags.config, flags.overrides, &config); !status.ok()) {
    return ReportStatus(status);
  }
  const Result<RunPlan> plan = PlanRun(config, context.asset_root);
  if (!plan.ok()) return ReportStatus(plan.status());
  const Result<std::string> hash = CheckPolicies(*plan);
  if (!hash.ok()) return ReportStatus(hash.status());

  BatchOptions options;
  options.out = flags.out;
  options.workers = flags.workers;
  options.command = SelfAsWorker(context);
  options.checkpoint_hash = *hash;
  const Result<int> done = CheckBatch(*plan, options);
  if (!done.ok()) return ReportStatus(done.status());
  if (flags.dry_run) {
    PrintPlan(*plan, *done);
    return kExitDone;
  }
  options.cancel = CatchInterrupts();
  fmt::print(stderr, "{} episodes, {} there already, {} worker{}\n", plan->jobs.size(), *done,
             flags.workers, flags.workers == 1 ? " (latencies are comparable)" : "s");
  const Result<BatchSummary> summary = RunBatch(*plan, options);
  if (!summary.ok()) {
    if (summary.status().code() == StatusCode::kCancelled) {
      fmt::print(stderr, "kvla: what ended is kept; the same command goes on from there\n");
    }
    return ReportStatus(summary.status());
  }
  if (Status status = PrintReport(flags.out); !status.ok()) return ReportStatus(status);
  fmt::print(stderr, "{} episodes ({} from before) in {}; {}\n", summary->episodes,
             summary->resumed, flags.out, DurationText(summary->wall_s));
  return summary->errors > 0 ? kExitEpisodeErrors : kExitDone;
}

}  // namespace

CLI::App* AddEval(CLI::App& parent, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<EvalFlags>();
  CLI::App* command = parent.add_subcommand("eval", "Run arms x tasks x delays x seeds");
  command->add_option("config", flags->config, "YAML file: what to run")->required();
  command->add_option("--out", flags->out, "Folder of the run; an unfinished one goes on")
      ->required();
  command->add_option("--set", flags->overrides, "Override: key.sub=value (repeatable)")
      ->allow_extra_args(false);
  command->add_option("--workers", flags->workers, "Worker processes; latencies need one")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_flag("--dry-run", flags->dry_run, "Check everything, print the config, run nothing");
  command->callback([flags, &context, exit_code] { *exit_code = RunEval(context, *flags); });
  return command;
}

}  // namespace kvla
