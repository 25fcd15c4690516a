// SPDX-License-Identifier: Apache-2.0
#include "harness/transplant/transplant_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/text.h"
#include "kv_efficient/methods/method_table.h"
#include "tasks/task_list.h"

namespace kvla {
namespace {

// The run whose episodes these are.
RunConfig RunOf(const TransplantConfig& config) {
  RunConfig run;
  run.name = "transplant";
  run.checkpoint = config.checkpoint;
  run.split = config.split;
  run.instructions = config.instructions;
  run.suite = config.suite;
  run.seed = config.seed;
  run.episodes = config.episodes;
  run.first_episode = config.first_episode;
  run.tasks = config.tasks;
  for (const NamedCache& arm : config.arms) {
    run.arms.push_back({arm, {}});
  }
  return run;
}

Status CheckTwins(const TransplantConfig& config, const std::filesystem::path& asset_root) {
  std::vector<std::string> with_twins;
  for (const std::string& name : TaskNames()) {
    const Result<std::unique_ptr<Task>> task = MakeTask(name, asset_root, config.suite);
    if (!task.ok()) return task.status();
    if ((*task)->info().has_twin) with_twins.push_back(name);
  }
  for (const RunTask& task : config.tasks) {
    if (std::ranges::find(with_twins, task.name) != with_twins.end()) continue;
    return BadInput(fmt::format(
        "task '{}' has no twins: no other episode of it is the same but for what is to be "
        "remembered; those that have: {}",
        task.name, Join(with_twins, ", ")));
  }
  return {};
}

}  // namespace

Result<TransplantPlan> PlanTransplant(const TransplantConfig& config,
                                      const std::filesystem::path& asset_root) {
  TransplantPlan plan;
  plan.config = config;
  Result<RunPlan> run = PlanRun(RunOf(config), asset_root);
  if (!run.ok()) return run.status();
  plan.run = *std::move(run);
  if (plan.run.policy.recurrent) {
    return BadInput(
        fmt::format("checkpoint {}: a recurrent policy (policy.memory: recurrent) holds no chunks "
                    "that could be taken over",
                    config.checkpoint));
  }
  for (const NamedCache& arm : config.arms) {
    // The two that hold nothing by their definition; of the others a trial says what they held.
    const CacheMethod& method = *FindCacheMethod(arm.cache.policy);
    if (method.name != "window" && !method.window_again) continue;
    return BadInput(fmt::format(
        "arm '{}': '{}' holds no chunk that left the window: nothing could be taken over", arm.name,
        arm.cache.policy));
  }
  if (Status s = CheckTwins(config, plan.run.asset_root); !s.ok()) return s.In("tasks");
  return plan;
}

}  // namespace kvla
