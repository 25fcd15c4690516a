// SPDX-License-Identifier: Apache-2.0
// What `kvla eval` and `kvla certify-budget` have in common: a config, checked and run.
#ifndef KVLA_APPS_EVALUATION_H_
#define KVLA_APPS_EVALUATION_H_

#include <string>
#include <vector>

#include "apps/app_context.h"
#include "harness/eval/eval_run.h"

namespace CLI {
class App;
}  // namespace CLI

namespace kvla {

struct EvaluationFlags {
  std::string config, out, ledger;
  std::vector<std::string> overrides;
  int workers = 1, batch = 1;
  bool redo_errors = false;
};

// All but where the config and the folder come from: --set, --workers, --batch, --ledger.
void AddEvaluationFlags(CLI::App& command, EvaluationFlags* flags);

// Loads the config and says the plan's warnings.
Result<RunPlan> PlanEvaluation(const AppContext& context, const EvaluationFlags& flags);

// Checks the policies and the folder; `done`: episodes that are there already.
Result<EvaluationOptions> PrepareEvaluation(const AppContext& context, const EvaluationFlags& flags,
                                            const RunPlan& plan, int* done);

// Runs what is missing. Says how many episodes there are, and on a stop that the rest goes on.
Result<EvaluationSummary> Evaluate(const RunPlan& plan, const EvaluationOptions& options, int done);

// What the call did, on stderr.
void SaySummary(const EvaluationSummary& summary, const std::string& out);

}  // namespace kvla

#endif  // KVLA_APPS_EVALUATION_H_
