#include "harness/run_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "base/config_io.h"
#include "base/split.h"
#include "base/text.h"
#include "policy/vla.h"
#include "sim/world.h"
#include "tasks/task_list.h"

namespace kvla {
namespace {

// Episodes of one task are run together in small groups, so that a worker seldom loads a scene and
// a partial run still has some of every cell.
constexpr int kGroup = 5;

Status CheckArms(const RunConfig& config, RunPlan* plan) {
  if (config.arms.empty()) return BadInput("'arms' is empty: nothing to compare");
  std::set<std::string> names;
  for (size_t i = 0; i < config.arms.size(); ++i) {
    const RunArm& arm = config.arms[i];
    const std::string where = fmt::format("arms[{}] '{}'", i, arm.name);
    if (arm.name.empty()) return BadInput(fmt::format("arms[{}] has no name", i));
    if (!names.insert(arm.name).second) {
      return BadInput(fmt::format("two arms are called '{}'", arm.name));
    }
    if (Status status = ValidateCacheConfig(arm.cache); !status.ok()) return status.In(where);
    CacheConfig cache = arm.cache;
    if (!cache.gate.empty()) {
      const std::filesystem::path gate = ResolvePath(cache.gate, plan->asset_root);
      if (!std::filesystem::is_regular_file(gate)) {
        return BadInput(fmt::format("{}: gate file {} is not there (train it with kvla train-gate)",
                                    where, cache.gate));
      }
      cache.gate = gate.string();
    }
    plan->caches.push_back(std::move(cache));
  }
  return {};
}

// The tasks of a run with the delays spelled out.
struct Cells {
  std::unique_ptr<Task> task;
  std::vector<std::string> delays;
};

Result<std::vector<Cells>> CheckTasks(const RunPlan& plan) {
  const RunConfig& config = plan.config;
  if (config.tasks.empty()) return BadInput("'tasks' is empty: nothing to run");
  std::vector<Cells> cells;
  std::set<std::string> names;
  for (size_t i = 0; i < config.tasks.size(); ++i) {
    const std::string where = fmt::format("tasks[{}]", i);
    Result<std::unique_ptr<Task>> task = MakeTask(config.tasks[i].name, plan.asset_root);
    if (!task.ok()) return task.status().In(where);
    if (!names.insert(config.tasks[i].name).second) {
      return BadInput(fmt::format("{}: task '{}' is listed twice", where, config.tasks[i].name));
    }
    Cells cell{*std::move(task), config.tasks[i].delays};
    const std::vector<std::string>& known = cell.task->info().delays;
    if (cell.delays.empty()) cell.delays = known;
    if (cell.delays.empty()) cell.delays = {""};
    std::set<std::string> listed_delays;
    for (const std::string& delay : cell.delays) {
      if (!listed_delays.insert(delay).second) {
        return BadInput(fmt::format("{}: delay '{}' is listed twice", where, delay));
      }
      const bool listed = std::find(known.begin(), known.end(), delay) != known.end();
      if (!listed && !(known.empty() && delay.empty())) {
        return BadInput(fmt::format(
            "{}: task '{}' has no delay '{}', only {}{}", where, config.tasks[i].name, delay,
            known.empty() ? "one without a name" : Join(known, ", "), DidYouMean(delay, known)));
      }
    }
    Result<std::unique_ptr<World>> world = World::Load(cell.task->scene());
    if (!world.ok()) return world.status();
    for (const std::string& camera : plan.policy.cameras) {
      if (Result<int> id = (*world)->CameraId(camera); !id.ok()) return id.status().In(where);
    }
    cells.push_back(std::move(cell));
  }
  return cells;
}

Status MakeJobs(const std::vector<Cells>& cells, RunPlan* plan) {
  const RunConfig& config = plan->config;
  const Result<Split> split = ParseSplit(config.split);
  if (!split.ok()) return split.status();
  double total = 0;
  int longest = 0;
  for (int group = 0; group < config.episodes; group += kGroup) {
    const int end = std::min(config.episodes, group + kGroup);
    for (const Cells& cell : cells) {
      const std::string& task = cell.task->info().name;
      for (int episode = group; episode < end; ++episode) {
        const int64_t seed = config.first_episode + episode;
        for (const std::string& delay : cell.delays) {
          const EpisodeKey key{*split, static_cast<uint64_t>(config.seed), task, delay,
                               static_cast<uint64_t>(seed)};
          const Result<Scenario> scenario = cell.task->Draw(key);
          if (!scenario.ok()) return scenario.status();
          longest = std::max(longest, scenario->horizon_steps);
          for (size_t arm = 0; arm < config.arms.size(); ++arm) {
            plan->jobs.push_back({static_cast<int>(arm), task, delay, seed,
                                  static_cast<double>(scenario->horizon_steps)});
            total += scenario->horizon_steps;
          }
        }
      }
    }
  }
  for (EpisodeJob& job : plan->jobs) {
    job.weight *= static_cast<double>(plan->jobs.size()) / total;
  }
  plan->max_blocks = (longest + plan->policy.replan_steps - 1) / plan->policy.replan_steps + 1;
  return {};
}

}  // namespace

std::filesystem::path ResolvePath(const std::string& path, const std::filesystem::path& root) {
  const std::filesystem::path given(path);
  std::error_code error;
  if (given.is_absolute()) return given;
  if (std::filesystem::exists(given, error)) return std::filesystem::absolute(given);
  return root / given;
}

Result<RunPlan> PlanRun(const RunConfig& config, const std::filesystem::path& asset_root) {
  RunPlan plan;
  plan.config = config;
  plan.asset_root = std::filesystem::absolute(asset_root);
  if (config.checkpoint.empty()) return BadInput("'checkpoint' is empty: which policy?");
  plan.checkpoint = ResolvePath(config.checkpoint, plan.asset_root);
  if (!std::filesystem::is_directory(plan.checkpoint)) {
    return BadInput(fmt::format("checkpoint {}: no such folder, neither from here nor in {}",
                                config.checkpoint, plan.asset_root.string()));
  }
  const std::filesystem::path policy = plan.checkpoint / "config.yaml";
  if (Status status = LoadConfigFile(policy, {}, &plan.policy); !status.ok()) return status;
  if (Status status = CheckArms(config, &plan); !status.ok()) return status;
  Result<std::vector<Cells>> cells = CheckTasks(plan);
  if (!cells.ok()) return cells.status();
  if (Status status = MakeJobs(*cells, &plan); !status.ok()) return status;
  return plan;
}

Result<std::string> CheckPolicies(const RunPlan& plan) {
  Result<std::string> hash = CheckpointHash(plan.checkpoint);
  if (!hash.ok()) return hash;
  std::string all = *hash;
  for (size_t arm = 0; arm < plan.caches.size(); ++arm) {
    Vla::Options options;
    options.checkpoint = plan.checkpoint;
    options.cache = plan.caches[arm];
    options.device = plan.config.device;
    options.max_blocks = plan.max_blocks;
    const Result<std::unique_ptr<Vla>> vla = Vla::Load(options);
    if (!vla.ok()) return vla.status().In(fmt::format("arm '{}'", plan.config.arms[arm].name));
    if (plan.caches[arm].gate.empty()) continue;
    const Result<std::string> gate = HashFileHex(plan.caches[arm].gate);
    if (!gate.ok()) return gate;
    all += "+" + plan.config.arms[arm].name + ":" + *gate;
  }
  return all;
}

}  // namespace kvla
