// SPDX-License-Identifier: Apache-2.0
#include "harness/bench/episode_bench.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "base/config_io.h"
#include "base/stopwatch.h"
#include "harness/bench/arm_settings.h"
#include "harness/episode/suite_options.h"
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
  const Result<std::unique_ptr<Task>> task =
      MakeTask(options.task, options.asset_root, options.suite);
  if (!task.ok()) return task.status();
  RunConfig config;
  config.name = "bench";
  config.checkpoint = options.checkpoint.string();
  config.split = "validation";
  config.suite = options.suite;
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
      {"suite", SuiteText(options.suite)},
      {"batch", options.batch},
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
  constexpr int kWarmUp = 20;  // control steps: scenes, shaders, caches
  EpisodeRunner::Options how;
  how.steps = true;  // as an evaluation keeps them
  const Result<std::unique_ptr<EpisodeRunner>> runner = EpisodeRunner::Create(*plan, how);
  if (!runner.ok()) return runner.status();
  Totals totals;
  size_t next = 0;
  MachineLimits limits;
  std::vector<Turn> turns = limits.turns();
  // A turn is `batch` episodes, all to their ends.
  turns.emplace_back([&](bool kept) -> Status {
    const auto batch = static_cast<size_t>(options.batch);
    std::vector<int> steps_left(batch, kept ? -1 : kWarmUp);
    std::vector<EpisodeRecorder> recorders(batch);
    std::vector<std::unique_ptr<RunningEpisode>> episodes(batch);
    std::vector<RunningEpisode*> going;
    const double begin = SteadyMs();
    for (size_t i = 0; i < batch; ++i) {
      Result<std::unique_ptr<RunningEpisode>> episode = (*runner)->Begin(
          plan->jobs[(next + i) % plan->jobs.size()],
          [left = &steps_left[i]](bool) {
            return (*left)-- == 0 ? StepVerdict::kStop : StepVerdict::kGo;
          },
          &recorders[i]);
      if (!episode.ok()) return episode.status();
      episodes[i] = *std::move(episode);
      going.push_back(episodes[i].get());
    }
    while (!going.empty()) {
      std::vector<bool> ended;
      (*runner)->Step(going, &ended);
      size_t i = 0;
      std::erase_if(going, [&](const RunningEpisode*) { return ended[i++]; });
    }
    if (!kept) return {};
    const double took_ms = (SteadyMs() - begin) / options.batch;
    for (size_t i = 0; i < batch; ++i, next = (next + 1) % plan->jobs.size()) {
      const EpisodeRecord record = recorders[i].Take();
      if (!record.end.error.empty()) {
        return InternalError(fmt::format("episode {} of {}: {}", plan->jobs[next].seed,
                                         options.task, record.end.error));
      }
      totals.Add(record, took_ms);
    }
    return {};
  });
  if (Status status = TakeTurns(turns, options.seconds); !status.ok()) return status;
  BenchReport report{limits.Json()};
  report.machine["gl_renderer"] = (*runner)->gl_renderer();
  report.rows.push_back(Row(plan->jobs.front(), options, totals));
  return report;
}

}  // namespace kvla
