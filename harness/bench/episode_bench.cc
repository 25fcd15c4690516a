// SPDX-License-Identifier: Apache-2.0
#include "harness/bench/episode_bench.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "base/config_io.h"
#include "base/stopwatch.h"
#include "harness/bench/arm_settings.h"
#include "harness/eval/run_config.h"
#include "harness/eval/runner.h"
#include "policy/compact/policy_config.h"
#include "policy/compact/vla.h"
#include "tasks/task_list.h"

namespace kvla {
namespace {

constexpr int kEpisodes = 20;  // one after the other, then from the first again

Result<RunPlan> PlanOf(const EpisodeBenchOptions& options) {
  PolicyConfig policy;
  Status status = LoadConfigFile(options.checkpoint / "config.yaml", {}, &policy);
  if (!status.ok()) return status;
  const Result<CacheConfig> cache = ArmOf(options.method, SpecOf(policy), options.checkpoint);
  if (!cache.ok()) return cache.status();
  const Result<std::unique_ptr<Task>> task = MakeTask(options.task, options.asset_root);
  if (!task.ok()) return task.status();
  RunConfig config;
  config.name = "bench";
  config.checkpoint = options.checkpoint.string();
  config.split = "validation";
  config.episodes = kEpisodes;
  config.arms.resize(1);
  config.arms[0].name = options.method;
  config.arms[0].cache = *cache;
  config.tasks = {{options.task, {}}};
  if (!options.delay.empty()) {
    config.tasks[0].delays = {options.delay};
  } else if (!(*task)->info().delays.empty()) {
    config.tasks[0].delays = {(*task)->info().delays.front()};
  }
  return PlanRun(config, options.asset_root);
}

// Of the episodes so far.
struct Totals {
  Samples episode;
  double render_ms = 0, policy_ms = 0;
  int64_t control_steps = 0, inferences = 0, successes = 0;

  void Add(const EpisodeRecord& record, double took_ms) {
    episode.Add(took_ms);
    for (const InferenceEvent& event : record.inferences) {
      const LatencyParts& parts = event.cost.latency;
      render_ms += parts.render_ms;
      policy_ms += parts.total_ms() - parts.render_ms;
    }
    control_steps += record.end.steps;
    inferences += static_cast<int64_t>(record.inferences.size());
    successes += record.end.success ? 1 : 0;
  }
};

nlohmann::json Row(const EpisodeJob& job, const EpisodeBenchOptions& options,
                   const Totals& totals) {
  const double ms = totals.episode.sum(), seconds = ms / 1000;
  nlohmann::json row = {
      {"task", job.task},
      {"delay", job.delay},
      {"method", options.method},
      {"episodes", totals.episode.count()},
      {"successes", totals.successes},
      {"control_steps", totals.control_steps},
      {"inferences", totals.inferences},
      {"episodes_per_s", totals.episode.count() / seconds},
      {"control_steps_per_s", static_cast<double>(totals.control_steps) / seconds},
      {"render_share", totals.render_ms / ms},
      {"policy_share", totals.policy_ms / ms},
      {"physics_share", 1 - (totals.render_ms + totals.policy_ms) / ms}};
  PutTimes("episode", totals.episode, &row);
  return row;
}

}  // namespace

Result<BenchReport> BenchEpisodes(const EpisodeBenchOptions& options) {
  const Result<RunPlan> plan = PlanOf(options);
  if (!plan.ok()) return plan.status();
  constexpr int kWarmUp = 20;  // control steps: scene, shaders, caches
  int steps_left = kWarmUp;
  EpisodeRunner::Options how;
  how.steps = true;  // as an evaluation keeps them
  how.before_step = [&steps_left](bool) {
    return steps_left-- == 0 ? StepVerdict::kStop : StepVerdict::kGo;
  };
  const Result<std::unique_ptr<EpisodeRunner>> runner = EpisodeRunner::Create(*plan, how);
  if (!runner.ok()) return runner.status();
  Totals totals;
  size_t next = 0;
  MachineLimits limits;
  std::vector<Turn> turns = limits.turns();
  turns.emplace_back([&](bool kept) -> Status {
    steps_left = kept ? -1 : kWarmUp;
    EpisodeRecorder recorder;
    const double begin = SteadyMs();
    Status status = (*runner)->Run(plan->jobs[next], &recorder);
    if (!status.ok() || !kept) return status;
    const double took_ms = SteadyMs() - begin;
    const EpisodeRecord record = recorder.Take();
    if (!record.end.error.empty()) {
      return InternalError(fmt::format("episode {} of {}: {}", plan->jobs[next].seed, options.task,
                                       record.end.error));
    }
    totals.Add(record, took_ms);
    next = (next + 1) % plan->jobs.size();
    return {};
  });
  if (Status status = TakeTurns(turns, options.seconds); !status.ok()) return status;
  BenchReport report{limits.Json()};
  report.machine["gl_renderer"] = (*runner)->gl_renderer();
  report.rows.push_back(Row(plan->jobs.front(), options, totals));
  return report;
}

}  // namespace kvla
