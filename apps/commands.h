// SPDX-License-Identifier: Apache-2.0
// The subcommands there are.
#ifndef KVLA_APPS_COMMANDS_H_
#define KVLA_APPS_COMMANDS_H_

#include <string>
#include <vector>

#include "apps/app_context.h"

namespace CLI {
class App;
}  // namespace CLI

namespace kvla {

CLI::App* AddAnalyze(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddBackbone(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddBench(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddCard(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddCertify(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddCertifyBudget(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddCompare(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddCompletion(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddConfig(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddDemos(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddDoctor(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddEval(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddHelp(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddList(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddMerge(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddNeedle(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddPerplexity(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddReport(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddRuns(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddTrain(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddTrainGate(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddTrainWriteGate(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddTransplant(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddView(CLI::App& parent, const AppContext& context, int* exit_code);
CLI::App* AddWorker(CLI::App& parent, const AppContext& context, int* exit_code);

// What `kvla config` prints, by name.
std::vector<std::string> ConfigKindNames();

// One explicit list, in the order of the help text.
inline void AddCommands(CLI::App& parent, const AppContext& context, int* exit_code) {
  AddEval(parent, context, exit_code);
  AddMerge(parent, context, exit_code);
  AddReport(parent, context, exit_code);
  AddCompare(parent, context, exit_code);
  AddCertifyBudget(parent, context, exit_code);
  AddTransplant(parent, context, exit_code);
  AddAnalyze(parent, context, exit_code);
  AddPerplexity(parent, context, exit_code);
  AddNeedle(parent, context, exit_code);
  AddBackbone(parent, context, exit_code);
#ifdef KVLA_WITH_VIEWER
  AddView(parent, context, exit_code);
#endif
  AddList(parent, context, exit_code);
  AddRuns(parent, context, exit_code);
  AddConfig(parent, context, exit_code);
  AddDemos(parent, context, exit_code);
  AddTrain(parent, context, exit_code);
  AddTrainGate(parent, context, exit_code);
  AddTrainWriteGate(parent, context, exit_code);
  AddCertify(parent, context, exit_code);
  AddCard(parent, context, exit_code);
  AddBench(parent, context, exit_code);
  AddDoctor(parent, context, exit_code);
  AddCompletion(parent, context, exit_code);
  AddHelp(parent, context, exit_code);
  AddWorker(parent, context, exit_code);
}

}  // namespace kvla

#endif  // KVLA_APPS_COMMANDS_H_
