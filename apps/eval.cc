// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/evaluation.h"
#include "base/config_io.h"
#include "base/files.h"
#include "base/numbers.h"
#include "base/streams.h"
#include "harness/eval/estimate.h"
#include "harness/workers/progress.h"
#include "results/report/report.h"
#include "results/statistics/paired.h"

namespace kvla {
namespace {

struct EvalFlags {
  EvaluationFlags run;
  std::string shard;
  bool dry_run = false, check = false;
};

Status PrintReport(const std::string& out) {
  Result<RunStore> store = RunStore::Open(out, RunStore::Mode::kReadOnly);
  if (!store.ok()) return store.status();
  const Result<Report> report = BuildReport(*store);
  if (!report.ok()) return report.status();
  Print("{}", FormatTable(*report));
  return {};
}

// "2/3" of --shard; empty leaves the plan whole.
Status ApplyShard(const std::string& shard, RunPlan* plan) {
  if (shard.empty()) return {};
  const size_t slash = std::min(shard.find('/'), shard.size() - 1);
  const Result<int64_t> index = ParseInteger(std::string_view(shard).substr(0, slash));
  const Result<int64_t> count = ParseInteger(std::string_view(shard).substr(slash + 1));
  constexpr int64_t kMost = std::numeric_limits<int>::max();
  if (!index.ok() || !count.ok() || std::max(*index, *count) > kMost || *index < 0) {
    return BadInput("--shard " + shard + ": expected i/n, as in 2/8");
  }
  return TakeShard(static_cast<int>(*index), static_cast<int>(*count), plan).In("--shard");
}

// What so many episodes of a cell can show, before any is run.
void PrintPower(const RunConfig& config) {
  constexpr int kMost = 5000;  // beyond it the exact power takes long, and is no question
  const int n = std::min(config.episodes, kMost);
  const Interval half = WilsonInterval(n / 2, n);
  Print("# a rate is known to {:.1f} points at worst (95%, half the interval)",
        100 * (half.high - half.low) / 2);
  std::string found;
  for (const double discordant : {0.1, 0.3}) {
    const double difference = DetectableDifference(n, discordant);
    if (!std::isfinite(difference)) continue;
    found += fmt::format("{}{:.1f} points where two arms part on {:.0f}%",
                         found.empty() ? "" : ", ", 100 * difference, 100 * discordant);
  }
  if (config.arms.size() > 1) {
    Print("; found with 80% power: {}", found.empty() ? "no difference" : found);
  }
  Print("\n");
}

Status PrintPlan(const RunPlan& plan, const EvaluationOptions& options, int done) {
  std::set<std::string> cells;
  for (const EpisodeJob& job : plan.jobs) {
    cells.insert(job.task + (job.delay.empty() ? "" : "/" + job.delay));
  }
  Print("{}", PrintConfig(plan.config));
  Print(
      "# {} arms x {} cells x {} episodes = {} episodes, "
      "{} there already; the longest has {} inferences\n",
      plan.config.arms.size(), cells.size(), plan.config.episodes, plan.planned, done,
      plan.max_blocks - 1);
  if (plan.shard != "1/1") {
    Print("# shard {}: {} episodes\n", plan.shard, plan.jobs.size());
  }
  PrintPower(plan.config);
  const Result<RunEstimate> left = EstimateRun(plan, options);
  if (!left.ok()) return left.status();
  std::error_code error;
  const auto space = std::filesystem::space(NearestExisting(options.out), error);
  Print(
      "# left to do: {} episodes, {} control steps at most: {:.2f} hours with {} worker{}, {:.3f} "
      "gigabytes ({} free); measured on a few inferences of each task\n",
      left->episodes, left->control_steps, left->seconds / 3600, options.workers,
      options.workers == 1 ? "" : "s", left->bytes / 1e9,
      error ? "unknown" : BytesText(static_cast<double>(space.available)));
  return {};
}

int RunEval(const AppContext& context, const EvalFlags& flags) {
  Result<RunPlan> plan = PlanEvaluation(context, flags.run);
  if (!plan.ok()) return ReportStatus(plan.status());
  if (Status status = ApplyShard(flags.shard, &*plan); !status.ok()) return ReportStatus(status);
  int done = 0;
  const Result<EvaluationOptions> options = PrepareEvaluation(context, flags.run, *plan, &done);
  if (!options.ok()) return ReportStatus(options.status());
  if (flags.check) return kExitDone;
  if (flags.dry_run) return ReportStatus(PrintPlan(*plan, *options, done));
  const Result<EvaluationSummary> summary = Evaluate(*plan, *options, done);
  if (!summary.ok()) return ReportStatus(summary.status());
  if (Status status = PrintReport(flags.run.out); !status.ok()) return ReportStatus(status);
  SaySummary(*summary, flags.run.out);
  return summary->errors > 0 ? kExitEpisodeErrors : kExitDone;
}

}  // namespace

CLI::App* AddEval(CLI::App& parent, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<EvalFlags>();
  CLI::App* command = parent.add_subcommand("eval", "Run arms x tasks x delays x seeds");
  command->add_option("config", flags->run.config, "YAML file: what to run")->required();
  command->add_option("--out", flags->run.out, "Folder of the run; an unfinished one goes on")
      ->required();
  AddEvaluationFlags(*command, &flags->run);
  command->add_option("--shard", flags->shard,
                      "Only part i of n, as in 2/8, in a folder of its own (see merge)");
  CLI::Option* redo =
      command->add_flag("--redo-errors", flags->run.redo_errors,
                        "Take out the episodes that ended in an error and run them again");
  command
      ->add_flag("--dry-run", flags->dry_run,
                 "Check everything, print the config and what it will take, keep nothing")
      ->excludes(redo);
  command->add_flag("--check", flags->check, "Check everything and do nothing")->excludes(redo);
  command->callback([flags, &context, exit_code] { *exit_code = RunEval(context, *flags); });
  return command;
}

}  // namespace kvla
