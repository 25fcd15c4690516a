// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/bench_backbones.h"
#include "apps/bench_policy.h"
#include "apps/commands.h"
#include "apps/suite_flags.h"
#include "base/json_text.h"
#include "base/streams.h"
#include "harness/bench/environment_bench.h"
#include "harness/bench/machine_limits.h"
#include "harness/bench/physics_bench.h"
#include "harness/episode/suite_options.h"
#include "tasks/task_list.h"

namespace kvla {
namespace {

struct BenchFlags {
  double seconds = 5;
  std::vector<std::string> tasks;
  TaskOptions suite;
  std::vector<int> sizes = {64, 128, 256};
  bool json = false;
};

int RunBenchEnv(const AppContext& context, const BenchFlags& flags) {
  UseOneCore();
  nlohmann::json rows = nlohmann::json::array();
  const std::vector<std::string> tasks = flags.tasks.empty() ? TaskNames() : flags.tasks;
  for (const std::string& name : tasks) {
    const Result<std::unique_ptr<Task>> task = MakeTask(name, context.asset_root, flags.suite);
    if (!task.ok()) return ReportStatus(task.status());
    for (const int size : flags.sizes) {
      const Result<EnvironmentBench> bench = BenchEnvironment(**task, size, flags.seconds);
      if (!bench.ok()) return ReportStatus(bench.status().In(name));
      rows.push_back({{"task", name},
                      {"suite", SuiteText(flags.suite)},
                      {"width", size},
                      {"height", size},
                      {"cameras", bench->cameras},
                      {"control_steps_per_s", bench->control_steps_per_s},
                      {"gl_renderer", bench->gl_renderer}});
      if (!flags.json) {
        Print("{:<14} {} cameras {:>3}x{:<3}  {:7.1f} control steps/s  ({})\n", name,
              bench->cameras, size, size, bench->control_steps_per_s, bench->gl_renderer);
        FlushStdout();
        if (!StdoutIsWhole()) return kExitBadInput;  // nothing would keep the rest
      }
    }
  }
  if (flags.json) Print("{}\n", JsonText(nlohmann::json{{"rows", rows}}, 2));
  return kExitDone;
}

int RunBenchPhysics(const AppContext& context, const BenchFlags& flags) {
  constexpr int kControlSteps = 200;
  UseOneCore();
  nlohmann::json rows = nlohmann::json::array();
  const std::vector<std::string> tasks = flags.tasks.empty() ? TaskNames() : flags.tasks;
  for (const std::string& name : tasks) {
    const Result<std::unique_ptr<Task>> task = MakeTask(name, context.asset_root, flags.suite);
    if (!task.ok()) return ReportStatus(task.status());
    const Result<PhysicsBench> bench = BenchPhysics(**task, kControlSteps, flags.seconds);
    if (!bench.ok()) return ReportStatus(bench.status().In(name));
    rows.push_back({{"task", name},
                    {"suite", SuiteText(flags.suite)},
                    {"world_steps_per_s", bench->world_steps_per_s},
                    {"bare_steps_per_s", bench->bare_steps_per_s},
                    {"ratio", bench->ratio()},
                    {"same_end", bench->same_end}});
    if (flags.json) continue;
    Print("{:<16} {:8.0f} physics steps/s, bare mj_step {:8.0f}: {:.1f}%{}\n", name,
          bench->world_steps_per_s, bench->bare_steps_per_s, 100 * bench->ratio(),
          bench->same_end ? "" : "  (their ends DIFFER)");
    FlushStdout();
    if (!StdoutIsWhole()) return kExitBadInput;
  }
  if (flags.json) Print("{}\n", JsonText(nlohmann::json{{"rows", rows}}, 2));
  return kExitDone;
}

}  // namespace

CLI::App* AddBench(CLI::App& parent, const AppContext& context, int* exit_code) {
  CLI::App* command = parent.add_subcommand("bench", "Measure speeds");
  command->require_subcommand(1);
  auto flags = std::make_shared<BenchFlags>();
  CLI::App* env = command->add_subcommand(
      "env", "Environment side on one core: physics, script and two cameras at every control step");
  env->add_option("--seconds", flags->seconds, "Seconds a row")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  env->add_option("--task", flags->tasks, "Only these tasks");
  env->add_option("--size", flags->sizes, "Image sides, pixels")
      ->check(CLI::Range(16, 1024))
      ->capture_default_str();
  AddSuiteFlags(*env, &flags->suite);
  env->add_flag("--json", flags->json, "For programs");
  env->callback([flags, &context, exit_code] { *exit_code = RunBenchEnv(context, *flags); });

  CLI::App* physics = command->add_subcommand(
      "physics", "Physics on one core: with the arm's control and all checks, and mj_step() alone");
  physics->add_option("--seconds", flags->seconds, "Seconds a task")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  physics->add_option("--task", flags->tasks, "Only these tasks");
  AddSuiteFlags(*physics, &flags->suite);
  physics->add_flag("--json", flags->json, "For programs");
  physics->callback(
      [flags, &context, exit_code] { *exit_code = RunBenchPhysics(context, *flags); });
  AddPolicyBenches(*command, context, exit_code);
  AddBackboneBench(*command, context, exit_code);
  return command;
}

}  // namespace kvla
