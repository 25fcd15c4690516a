// SPDX-License-Identifier: Apache-2.0
#include <sched.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "base/json_text.h"
#include "base/streams.h"
#include "harness/bench/physics_bench.h"
#include "sim/renderer.h"
#include "tasks/task_list.h"

namespace kvla {
namespace {

using SteadyClock = std::chrono::steady_clock;

struct BenchFlags {
  double seconds = 5;
  std::vector<std::string> tasks;
  std::vector<int> sizes = {64, 128, 256};
  bool json = false;
};

struct BenchRow {
  std::string task, gl_renderer;
  int size = 0, cameras = 0;
  double control_steps_per_s = 0;
};

// The expert at work, both cameras drawn at every control step.
Result<BenchRow> BenchTask(const AppContext& context, const std::string& name, int size,
                           double seconds) {
  const std::vector<std::string> cameras = {"front", "wrist"};
  Result<std::unique_ptr<Task>> task = MakeTask(name, context.asset_root);
  if (!task.ok()) return task.status();
  Result<std::unique_ptr<World>> world = World::Load((*task)->scene());
  if (!world.ok()) return world.status();
  Result<std::unique_ptr<Renderer>> renderer = Renderer::Create((*world)->model(), size, size);
  if (!renderer.ok()) return renderer.status();
  BenchRow row{name, (*renderer)->gl_renderer(), size, static_cast<int>(cameras.size()), 0};
  Image image;
  int64_t steps = 0;
  // Shaders and caches first.
  constexpr int kWarmUp = 20;
  SteadyClock::time_point start = SteadyClock::now();
  for (uint64_t episode = 0;; ++episode) {
    const std::string& delay = (*task)->info().delays.empty() ? "" : (*task)->info().delays[0];
    const EpisodeKey key{Split::kValidation, 0, name, delay, episode};
    const Result<Scenario> scenario = (*task)->Place(**world, key);
    if (!scenario.ok()) return scenario.status();
    (*task)->Update(**world, *scenario);
    const auto expert = (*task)->MakeExpert(*scenario, false, Rng(key, "bench"));
    bool done = false;
    for (int step = 0; step < scenario->horizon_steps && !done; ++step) {
      for (const std::string& camera : cameras) {
        if (Status s = (*renderer)->Render(**world, camera, size, size, &image); !s.ok()) return s;
      }
      if (Status s = (*world)->Step(expert->Act(**world)); !s.ok()) return s;
      (*task)->Update(**world, *scenario);
      done = (*task)->Evaluate(**world, *scenario).done;
      ++steps;
      if (steps == kWarmUp) start = SteadyClock::now();
      const double elapsed = std::chrono::duration<double>(SteadyClock::now() - start).count();
      if (steps > kWarmUp && elapsed >= seconds) {
        row.control_steps_per_s = static_cast<double>(steps - kWarmUp) / elapsed;
        return row;
      }
    }
  }
}

// One core, as the figures are given: the core that this process runs on now.
void PinToOneCore() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  sched_setaffinity(0, sizeof(one), &one);
}

int RunBenchEnv(const AppContext& context, const BenchFlags& flags) {
  PinToOneCore();
  nlohmann::json rows = nlohmann::json::array();
  const std::vector<std::string> tasks = flags.tasks.empty() ? TaskNames() : flags.tasks;
  for (const std::string& task : tasks) {
    for (const int size : flags.sizes) {
      const Result<BenchRow> row = BenchTask(context, task, size, flags.seconds);
      if (!row.ok()) return ReportStatus(row.status());
      rows.push_back({{"task", row->task},
                      {"width", row->size},
                      {"height", row->size},
                      {"cameras", row->cameras},
                      {"control_steps_per_s", row->control_steps_per_s},
                      {"gl_renderer", row->gl_renderer}});
      if (!flags.json) {
        Print("{:<14} {} cameras {:>3}x{:<3}  {:7.1f} control steps/s  ({})\n", task, row->cameras,
              size, size, row->control_steps_per_s, row->gl_renderer);
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
  PinToOneCore();
  nlohmann::json rows = nlohmann::json::array();
  const std::vector<std::string> tasks = flags.tasks.empty() ? TaskNames() : flags.tasks;
  for (const std::string& name : tasks) {
    const Result<std::unique_ptr<Task>> task = MakeTask(name, context.asset_root);
    if (!task.ok()) return ReportStatus(task.status());
    const Result<PhysicsBench> bench = BenchPhysics(**task, kControlSteps, flags.seconds);
    if (!bench.ok()) return ReportStatus(bench.status().In(name));
    rows.push_back({{"task", name},
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
  env->add_flag("--json", flags->json, "For programs");
  env->callback([flags, &context, exit_code] { *exit_code = RunBenchEnv(context, *flags); });

  CLI::App* physics = command->add_subcommand(
      "physics", "Physics on one core: with the arm's control and all checks, and mj_step() alone");
  physics->add_option("--seconds", flags->seconds, "Seconds a task")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  physics->add_option("--task", flags->tasks, "Only these tasks");
  physics->add_flag("--json", flags->json, "For programs");
  physics->callback(
      [flags, &context, exit_code] { *exit_code = RunBenchPhysics(context, *flags); });
  return command;
}

}  // namespace kvla
