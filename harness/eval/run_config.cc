// SPDX-License-Identifier: Apache-2.0
#include "harness/eval/run_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "base/config_io.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/split_names.h"
#include "base/text.h"
#include "harness/episode/episode.h"
#include "kv_efficient/methods/learned/random_gate.h"
#include "kv_efficient/methods/method_table.h"
#include "policy/compact/vla.h"
#include "policy/load_policy.h"
#include "sim/specs.h"
#include "sim/world.h"
#include "tasks/task_list.h"

namespace kvla {
namespace {

// Episodes of one task are run together in small groups, so that a worker seldom loads a scene and
// a partial run still has some of every cell.
constexpr int kGroup = 5;

Status CheckClock(const RunArm& arm, RunPlan* plan) {
  if (Status status = ValidateClock(arm.clock); !status.ok()) return status;
  const CacheMethod* method = FindCacheMethod(arm.cache.policy);
  if (method != nullptr && arm.clock.kind != "frozen" && method->cue_hint) {
    return BadInput(fmt::format(
        "'{}' is told beforehand which inferences see the cue, which only the frozen clock knows",
        method->name));
  }
  if (method != nullptr && arm.clock.latency == "cost_model" && method->window_again) {
    return BadInput(fmt::format(
        "latency 'cost_model' knows what a block costs over the tokens that a cache holds; '{}' "
        "runs over its whole window: use 'recorded' or 'constant'",
        method->name));
  }
  plan->recorded_ms.emplace_back();
  if (arm.clock.recorded.empty()) return {};
  Result<std::vector<double>> recorded =
      RecordedLatency(ResolvePath(arm.clock.recorded, plan->asset_root),
                      arm.clock.recorded_arm.empty() ? arm.name : arm.clock.recorded_arm);
  if (!recorded.ok()) return recorded.status();
  plan->recorded_ms.back() = *std::move(recorded);
  return {};
}

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
    if (Status status = CheckMemory(plan->policy, arm.cache); !status.ok()) return status.In(where);
    CacheConfig cache = arm.cache;
    if (cache.gate == kRandomGate) {
      if (!plan->random_weights) {
        return BadInput(fmt::format(
            "{}: gate: random is for the costs of a policy of random weights (backbone.weights), "
            "and this one has a checkpoint: name a trained gate",
            where));
      }
    } else if (!cache.gate.empty()) {
      const std::filesystem::path gate = ResolvePath(cache.gate, plan->asset_root);
      if (!IsFile(gate)) {
        return BadInput(fmt::format("{}: gate file {} is not there (train it with kvla train-gate)",
                                    where, cache.gate));
      }
      cache.gate = gate.string();
    }
    plan->caches.push_back(std::move(cache));
    if (Status status = CheckClock(arm, plan); !status.ok()) return status.In(where);
    const std::string warning = GeometryWarning(arm.cache, plan->policy);
    if (!warning.empty()) plan->warnings.push_back(where + ": " + warning);
    const std::string keep = GateKeepWarning(plan->caches.back());
    if (!keep.empty()) plan->warnings.push_back(where + ": " + keep);
  }
  return CheckStopRule(config.stop_when, {names.begin(), names.end()}).In("stop_when");
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
    Result<std::unique_ptr<Task>> task =
        MakeTask(config.tasks[i].name, plan.asset_root, config.suite);
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
    for (const PolicyCamera& camera : plan.policy.cameras) {
      if (Result<int> id = (*world)->CameraId(camera.name); !id.ok()) return id.status().In(where);
    }
    cells.push_back(std::move(cell));
  }
  return cells;
}

Status MakeJobs(const std::vector<Cells>& cells, RunPlan* plan) {
  const RunConfig& config = plan->config;
  const Result<Split> split = ParseSplit(config.split);
  if (!split.ok()) return split.status();
  const Result<Phrasing> phrasing = ParsePhrasing(config.instructions);
  if (!phrasing.ok()) return phrasing.status();
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
          const Result<std::string> instruction =
              InstructionOf(cell.task->info(), *scenario, *phrasing);
          if (!instruction.ok()) return instruction.status().In("instructions");
          longest = std::max(longest, scenario->horizon_steps);
          for (size_t arm = 0; arm < config.arms.size(); ++arm) {
            plan->jobs.push_back({static_cast<int>(arm), task, delay, seed,
                                  static_cast<double>(scenario->horizon_steps),
                                  scenario->horizon_steps});
            total += scenario->horizon_steps;
          }
        }
      }
    }
  }
  for (EpisodeJob& job : plan->jobs) {
    job.weight *= static_cast<double>(plan->jobs.size()) / total;
  }
  plan->planned = static_cast<int>(plan->jobs.size());
  plan->max_blocks = (longest + plan->policy.replan_steps - 1) / plan->policy.replan_steps + 1;
  return {};
}

// One hash over the scene files of the run's tasks and what they include, by path.
Result<std::string> HashAssets(const RunPlan& plan) {
  std::vector<std::filesystem::path> folders = {plan.asset_root / "sim/models"};
  std::vector<std::filesystem::path> files;
  for (const RunTask& task : plan.config.tasks) {
    folders.push_back(plan.asset_root / "tasks" / task.name);
  }
  std::error_code error;
  std::filesystem::directory_iterator entry(plan.asset_root / "tasks", error), last;
  for (; !error && entry != last; entry.increment(error)) {
    if (IsFile(entry->path())) files.push_back(entry->path());
  }
  error.clear();
  for (const std::filesystem::path& folder : folders) {
    std::filesystem::recursive_directory_iterator it(folder, error), end;
    for (; !error && it != end; it.increment(error)) {
      if (IsFile(it->path())) files.push_back(it->path());
    }
    error.clear();
  }
  std::sort(files.begin(), files.end());
  std::string all;
  for (const std::filesystem::path& file : files) {
    if (file.extension() == ".cc" || file.extension() == ".h") continue;
    const Result<std::string> hash = HashFileHex(file);
    if (!hash.ok()) return hash;
    all += file.lexically_relative(plan.asset_root).string() + ":" + *hash + "\n";
  }
  return HashHex(all);
}

}  // namespace

std::filesystem::path ResolvePath(const std::string& path, const std::filesystem::path& root) {
  const std::filesystem::path given(path);
  if (given.is_absolute()) return given;
  if (Exists(given)) return AbsolutePath(given);
  return root / given;
}

Result<RunPlan> PlanRun(const RunConfig& config, const std::filesystem::path& asset_root) {
  RunPlan plan;
  plan.config = config;
  plan.asset_root = AbsolutePath(asset_root);
  if (!config.checkpoint.empty()) plan.checkpoint = ResolvePath(config.checkpoint, plan.asset_root);
  if (!config.checkpoint.empty() && !IsFolder(plan.checkpoint)) {
    return BadInput(fmt::format("checkpoint {}: no such folder, neither from here nor in {}",
                                config.checkpoint, plan.asset_root.string()));
  }
  Result<PolicyDescription> policy = DescribePolicy(SourceOf(plan));
  if (!policy.ok()) return policy.status();
  plan.policy = std::move(policy->spec);
  plan.random_weights = policy->random_weights;
  plan.policy_card = std::move(policy->card);
  if (plan.random_weights && config.stop_when.rule != "never") {
    return BadInput("stop_when: it goes by success, of which random weights have none");
  }
  if (Status status = CheckArms(config, &plan); !status.ok()) return status;
  Result<std::vector<Cells>> cells = CheckTasks(plan);
  if (!cells.ok()) return cells.status();
  if (Status status = MakeJobs(*cells, &plan); !status.ok()) return status;
  Result<std::string> assets = HashAssets(plan);
  if (!assets.ok()) return assets.status();
  plan.assets_hash = *std::move(assets);
  return plan;
}

Status TakeShard(int index, int count, RunPlan* plan) {
  if (count < 1 || index < 1 || index > count) {
    return BadInput(fmt::format("shard {}/{}: the first of {} is 1/{}, the last {}/{}", index,
                                count, count, count, count, count));
  }
  const int64_t first = plan->config.first_episode;
  std::erase_if(plan->jobs,
                [&](const EpisodeJob& job) { return (job.seed - first) % count != index - 1; });
  if (count > 1 && plan->config.stop_when.rule != "never") {
    return BadInput("'stop_when' needs every episode as it ends: it cannot be used with shards");
  }
  plan->shard = fmt::format("{}/{}", index, count);
  return {};
}

StopPlan StopPlanOf(const RunPlan& plan) {
  StopPlan stop;
  for (const RunArm& arm : plan.config.arms) stop.arms.push_back(arm.name);
  std::set<std::pair<std::string, std::string>> cells;
  for (const EpisodeJob& job : plan.jobs) cells.insert({job.task, job.delay});
  stop.cells.assign(cells.begin(), cells.end());
  stop.first_episode = plan.config.first_episode;
  stop.episodes = plan.config.episodes;
  return stop;
}

PolicySource SourceOf(const RunPlan& plan) {
  PolicySource source;
  source.checkpoint = plan.checkpoint;
  source.backbone = plan.config.backbone;
  source.adapter = plan.config.adapter;
  source.robot = {.control_rate_hz = kControlRateHz, .gripper_down = kGripperDown};
  source.asset_root = plan.asset_root;
  source.device = plan.config.device;
  return source;
}

Result<std::unique_ptr<Policy>> LoadPolicy(const RunPlan& plan) {
  return LoadPolicy(SourceOf(plan));
}

Result<std::string> CheckPolicies(const RunPlan& plan) {
  Result<std::string> hash = HashPolicy(SourceOf(plan));
  if (!hash.ok()) return hash;
  const Result<std::unique_ptr<Policy>> policy = LoadPolicy(plan);
  if (!policy.ok()) return policy.status();
  std::string all = *hash;
  for (size_t arm = 0; arm < plan.caches.size(); ++arm) {
    const Result<std::unique_ptr<Session>> session =
        (*policy)->NewSession({.cache = plan.caches[arm], .max_blocks = plan.max_blocks});
    if (!session.ok()) {
      return session.status().In(fmt::format("arm '{}'", plan.config.arms[arm].name));
    }
    if (plan.caches[arm].gate.empty() || plan.caches[arm].gate == kRandomGate) continue;
    const Result<std::string> gate = HashFileHex(plan.caches[arm].gate);
    if (!gate.ok()) return gate;
    all += "+" + plan.config.arms[arm].name + ":" + *gate;
  }
  return all;
}

}  // namespace kvla
