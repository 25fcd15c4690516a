#include "tasks/certify.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "harness/progress.h"
#include "results/statistics.h"
#include "tasks/task_list.h"

namespace kvla {
namespace {

struct CertifyFlags {
  std::string task;
  int episodes = 100;
  uint64_t seed = 0;
  bool json = false;
};

// The bars of a certified task, at the number of episodes that was run.
bool Passes(const TaskInfo& info, const CertifyResult& r) {
  if (r.expert_success < 0.98 * r.episodes) return false;
  if (!info.needs_memory) return true;
  if (r.blind_decided == 0) return false;
  const Interval blind = WilsonInterval(r.blind_right, r.blind_decided);
  return blind.low <= info.chance && info.chance <= blind.high;
}

int RunCertify(const AppContext& context, const CertifyFlags& flags) {
  const std::atomic<bool>* cancel = CatchInterrupts();
  std::vector<std::string> names = TaskNames();
  if (!flags.task.empty()) names = {flags.task};
  nlohmann::json rows = nlohmann::json::array();
  bool all = true;
  for (const std::string& name : names) {
    const Result<std::unique_ptr<Task>> task = MakeTask(name, context.asset_root);
    if (!task.ok()) return ReportStatus(task.status());
    const TaskInfo& info = (*task)->info();
    for (const std::string& delay : info.delays) {
      ProgressBar bar(fmt::format("{} {}", name, delay), 2 * flags.episodes);
      const Result<CertifyResult> result =
          Certify(**task, delay, flags.episodes, flags.seed, [&bar, cancel](int done, int) {
            bar.Update(done);
            return !cancel->load();
          });
      bar.Clear();
      if (!result.ok()) return ReportStatus(result.status());
      const bool pass = Passes(info, *result);
      all = all && pass;
      rows.push_back({{"task", name},
                      {"delay", delay},
                      {"episodes", result->episodes},
                      {"expert_success", result->expert_success},
                      {"blind_success", result->blind_success},
                      {"blind_decided", result->blind_decided},
                      {"blind_right", result->blind_right},
                      {"chance", info.chance},
                      {"errors", result->errors},
                      {"certified", pass}});
      if (flags.json) continue;
      fmt::print("{:<14} {:<8} expert {}/{}", name, delay, result->expert_success,
                 result->episodes);
      if (info.needs_memory) {
        fmt::print("  cue withheld: {} of {} decisions right (chance {:.2f})", result->blind_right,
                   result->blind_decided, info.chance);
      }
      fmt::print("  {} diverged  {}\n", result->errors, pass ? "certified" : "NOT certified");
    }
  }
  if (flags.json) fmt::print("{}\n", nlohmann::json{{"rows", rows}}.dump(2));
  return all ? kExitDone : kExitEpisodeErrors;
}

}  // namespace

CLI::App* AddCertify(CLI::App& parent, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<CertifyFlags>();
  CLI::App* command = parent.add_subcommand(
      "certify", "Check that the expert solves a task, and not without the cue");
  command->add_option("task", flags->task, "Task; all without it");
  command->add_option("--episodes", flags->episodes, "Episodes of each kind and delay")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command->add_option("--seed", flags->seed, "Run seed")->capture_default_str();
  command->add_flag("--json", flags->json, "For programs");
  command->callback([flags, &context, exit_code] { *exit_code = RunCertify(context, *flags); });
  return command;
}

}  // namespace kvla
