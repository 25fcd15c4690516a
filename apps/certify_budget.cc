// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/evaluation.h"
#include "base/config_io.h"
#include "base/json_text.h"
#include "base/streams.h"
#include "base/text.h"
#include "harness/eval/budget_grid.h"
#include "results/report/budget_report.h"
#include "results/store/run_store.h"

namespace kvla {
namespace {

struct CertifyBudgetFlags {
  EvaluationFlags run;
  std::string there;  // a run to look at
  std::vector<std::string> arms;
  double loss_points = 2, alpha = 0.05;
  bool json = false;
};

Status PrintVerdicts(const RunStore& store, const BudgetGrid& grid,
                     const CertifyBudgetFlags& flags) {
  const Result<BudgetReport> report =
      BuildBudgetReport(store, grid, flags.loss_points, flags.alpha);
  if (!report.ok()) return report.status();
  Print("{}",
        flags.json ? JsonText(BudgetReportJson(*report), 2) + "\n" : FormatBudgetReport(*report));
  return {};
}

// Of a run that is there, whatever its state.
Status JudgeRun(const CertifyBudgetFlags& flags) {
  const Result<RunStore> store = RunStore::Open(flags.there, RunStore::Mode::kReadOnly);
  if (!store.ok()) return store.status();
  const Result<RunMeta> meta = store->Meta();
  if (!meta.ok()) return meta.status();
  const auto text = meta->find("config");
  if (text == meta->end()) return BadInput(flags.there + ": the run does not say its config");
  const Result<ConfigNode> node = ParseYaml(text->second, flags.there + ": config", false);
  if (!node.ok()) return node.status();
  RunConfig config;
  if (Status s = ParseConfig(*node, &config); !s.ok()) return s;
  const Result<BudgetGrid> grid = BudgetGridOf(config, flags.arms);
  if (!grid.ok()) return grid.status().In(flags.there);
  return PrintVerdicts(*store, *grid, flags);
}

int EvaluateAndJudge(const AppContext& context, const CertifyBudgetFlags& flags) {
  const Result<RunPlan> plan = PlanEvaluation(context, flags.run);
  if (!plan.ok()) return ReportStatus(plan.status());
  const Result<BudgetGrid> grid = BudgetGridOf(plan->config, flags.arms);
  if (!grid.ok()) return ReportStatus(grid.status().In(flags.run.config));
  int done = 0;
  const Result<EvaluationOptions> options = PrepareEvaluation(context, flags.run, *plan, &done);
  if (!options.ok()) return ReportStatus(options.status());
  const Result<EvaluationSummary> summary = Evaluate(*plan, *options, done);
  if (!summary.ok()) return ReportStatus(summary.status());
  const Result<RunStore> store = RunStore::Open(flags.run.out, RunStore::Mode::kReadOnly);
  if (!store.ok()) return ReportStatus(store.status());
  if (Status s = PrintVerdicts(*store, *grid, flags); !s.ok()) return ReportStatus(s);
  SaySummary(*summary, flags.run.out);
  return summary->errors > 0 ? kExitEpisodeErrors : kExitDone;
}

int RunCertifyBudget(const AppContext& context, const CertifyBudgetFlags& flags) {
  if (!flags.there.empty()) return ReportStatus(JudgeRun(flags));
  if (flags.run.config.empty() || flags.run.out.empty()) {
    return ReportStatus(
        BadInput("give a config and --out DIR to run it, or --run DIR of a run that is there"));
  }
  return EvaluateAndJudge(context, flags);
}

}  // namespace

CLI::App* AddCertifyBudget(CLI::App& parent, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<CertifyBudgetFlags>();
  CLI::App* command = parent.add_subcommand(
      "certify-budget", "The smallest budget of a grid that loses next to nothing to 'full'");
  CLI::Option* config = command->add_option(
      "config", flags->run.config, "YAML file: what to run, arm 'full' and a grid of budgets");
  CLI::Option* out =
      command->add_option("--out", flags->run.out, "Folder of the run; an unfinished one goes on");
  AddEvaluationFlags(*command, &flags->run);
  command->add_option("--run", flags->there, "Folder of a run that is there: nothing is run")
      ->excludes(config)
      ->excludes(out)
      ->excludes("--set");
  command->add_option("--arms", flags->arms, "Only these budgets, as in h2o_64,h2o_32")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--loss", flags->loss_points, "Points of success that a budget may lose")
      ->check(CLI::Range(0.01, 99.0))
      ->capture_default_str();
  command
      ->add_option("--alpha", flags->alpha,
                   "Chance that any budget is certified which loses that much or more")
      ->check(CLI::Range(0.0001, 0.4))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "For programs");
  command->callback(
      [flags, &context, exit_code] { *exit_code = RunCertifyBudget(context, *flags); });
  return command;
}

}  // namespace kvla
