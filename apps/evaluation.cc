// SPDX-License-Identifier: Apache-2.0
#include "apps/evaluation.h"

#include <CLI/CLI.hpp>
#include <filesystem>

#include "base/config_io.h"
#include "base/streams.h"
#include "base/text.h"
#include "harness/eval/ledger.h"
#include "harness/workers/progress.h"

namespace kvla {

void AddEvaluationFlags(CLI::App& command, EvaluationFlags* flags) {
  command.add_option("--set", flags->overrides, "Override: key.sub=value (repeatable)")
      ->allow_extra_args(false);
  command.add_option("--workers", flags->workers, "Worker processes; latencies need one")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command
      .add_option("--batch", flags->batch,
                  "Episodes that a worker steps at a time, asking the policy once for all; no "
                  "outcome depends on it")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command
      .add_option("--ledger", flags->ledger,
                  "File that a run on the evaluation split is written down in; else "
                  "results/ledger.jsonl of the source tree, or ledger.jsonl beside DIR")
      ->envname("KVLA_LEDGER");
}

Result<RunPlan> PlanEvaluation(const AppContext& context, const EvaluationFlags& flags) {
  RunConfig config;
  if (Status status = LoadConfigFile(flags.config, flags.overrides, &config); !status.ok()) {
    return status;
  }
  Result<RunPlan> plan = PlanRun(config, context.asset_root);
  if (!plan.ok()) return plan;
  for (const std::string& warning : plan->warnings) {
    Say("kvla: warning: {}\n", PrintableLine(warning));
  }
  return plan;
}

Result<EvaluationOptions> PrepareEvaluation(const AppContext& context, const EvaluationFlags& flags,
                                            const RunPlan& plan, int* done) {
  const Result<std::string> hash = CheckPolicies(plan);
  if (!hash.ok()) return hash.status();
  EvaluationOptions options;
  options.out = flags.out;
  options.workers = flags.workers;
  options.batch = flags.batch;
  options.command = SelfAsWorker(context);
  options.checkpoint_hash = *hash;
  options.ledger = flags.ledger.empty() ? DefaultLedger(context.asset_root, flags.out)
                                        : std::filesystem::path(flags.ledger);
  options.redo_errors = flags.redo_errors;
  options.progress = StyleOfProgress(context);
  const Result<int> there = CheckEvaluation(plan, options);
  if (!there.ok()) return there.status();
  *done = *there;
  options.cancel = CatchInterrupts();
  return options;
}

Result<EvaluationSummary> Evaluate(const RunPlan& plan, const EvaluationOptions& options,
                                   int done) {
  Say("{} episodes, {} there already, {} worker{}\n", plan.jobs.size(), done, options.workers,
      options.workers == 1 ? "" : "s");
  Result<EvaluationSummary> summary = RunEvaluation(plan, options);
  const StatusCode code = summary.status().code();
  if (code == StatusCode::kCancelled || code == StatusCode::kIo) {
    Say("kvla: what ended is kept; the same command goes on from there\n");
  }
  return summary;
}

void SaySummary(const EvaluationSummary& summary, const std::string& out) {
  Say("{} episodes ({} from before) in {}; {}", summary.episodes, summary.resumed, out,
      DurationText(summary.wall_s));
  if (summary.wall_s > 0 && summary.control_steps > 0) {
    Say("; {:.2f} episodes and {:.0f} control steps a second",
        (summary.episodes - summary.resumed) / summary.wall_s,
        static_cast<double>(summary.control_steps) / summary.wall_s);
  }
  if (summary.peak_bytes > 0) {
    Say("; workers up to {}", BytesText(static_cast<double>(summary.peak_bytes)));
  }
  if (summary.memory_growth > -1) {
    Say(", {:+.1f}% from their 100th episode to the last", 100 * summary.memory_growth);
  }
  Say("\n");
  for (const std::string& statement : summary.stopped) {
    Say("stopped early: {}\n", PrintableLine(statement));
  }
}

}  // namespace kvla
