// SPDX-License-Identifier: Apache-2.0
#include "harness/eval/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/split_names.h"
#include "kv_efficient/methods/method_table.h"
#include "tasks/task_list.h"

namespace kvla {

EpisodeSettings SettingsOf(const RunPlan& plan, const EpisodeJob& job) {
  const auto arm = static_cast<size_t>(job.arm);
  EpisodeSettings settings;
  settings.arm = plan.config.arms[arm].name;
  settings.cache = plan.caches[arm];
  const ClockConfig& clock = plan.config.arms[arm].clock;
  // PlanRun() checked the name.
  settings.clock = *ParseClockKind(clock.kind);
  settings.control_rate_hz = clock.control_rate_hz;
  if (settings.clock == ClockKind::kSimulated) {
    const CacheMethod* method = FindCacheMethod(settings.cache.policy);
    std::optional<BlockSchedule> gated;
    if (method != nullptr && method->reads("gate")) gated = settings.cache.schedule();
    const LatencyModel model(clock, plan.recorded_ms[arm], plan.config.vla,
                             plan.policy.tokens_per_block, gated);
    settings.think_s = [model](int index, const Inference& inference) {
      return model.Seconds(index, inference.cost.attended_tokens);
    };
  }
  // The key points into `job`: it must outlive the settings.
  // PlanRun() checked the split's name.
  settings.key = {*ParseSplit(plan.config.split), static_cast<uint64_t>(plan.config.seed), job.task,
                  job.delay, static_cast<uint64_t>(job.seed)};
  // PlanRun() and the field list checked these names.
  settings.phrasing = *ParsePhrasing(plan.config.instructions);
  settings.disturbance = *ParseDisturbance(plan.config.disturbance);
  return settings;
}

Result<std::unique_ptr<EpisodeRunner>> EpisodeRunner::Create(const RunPlan& plan, Options options) {
  std::unique_ptr<EpisodeRunner> runner(new EpisodeRunner(plan, std::move(options)));
  Result<std::unique_ptr<Policy>> policy = LoadPolicy(plan);
  if (!policy.ok()) return policy.status();
  runner->policy_ = *std::move(policy);
  runner->plan_.policy = runner->policy_->spec();
  for (const CacheConfig& cache : plan.caches) {
    Result<std::unique_ptr<Session>> session =
        runner->policy_->NewSession({.cache = cache, .max_blocks = plan.max_blocks});
    if (!session.ok()) return session.status();
    runner->sessions_.push_back(*std::move(session));
  }
  return runner;
}

Status EpisodeRunner::Prepare(const std::string& name) {
  if (task_ != nullptr && task_->info().name == name) return {};
  // One GL context at a time.
  renderer_.reset();
  world_.reset();
  task_.reset();
  Result<std::unique_ptr<Task>> task = MakeTask(name, plan_.asset_root);
  if (!task.ok()) return task.status();
  Result<std::unique_ptr<World>> world = World::Load((*task)->scene());
  if (!world.ok()) return world.status();
  int width = 1, height = 1;
  for (const PolicyCamera& camera : plan_.policy.cameras) {
    width = std::max(width, camera.width);
    height = std::max(height, camera.height);
  }
  Result<std::unique_ptr<Renderer>> renderer = Renderer::Create((*world)->model(), width, height);
  if (!renderer.ok()) return renderer.status();
  task_ = *std::move(task);
  world_ = *std::move(world);
  renderer_ = *std::move(renderer);
  return {};
}

Status EpisodeRunner::Run(const EpisodeJob& job, TraceSink* sink) {
  if (Status status = Prepare(job.task); !status.ok()) return status;
  EpisodeSettings settings = SettingsOf(plan_, job);
  settings.asset_root = plan_.asset_root;
  settings.steps = options_.steps;
  settings.states = options_.states;
  settings.images = options_.images;
  settings.before_step = options_.before_step;
  return RunEpisode(settings, *task_, *world_, *renderer_, *policy_, session(job.arm), sink);
}

Result<EpisodeRecord> LostRecord(const RunPlan& plan, const EpisodeJob& job,
                                 const std::string& why) {
  Result<std::unique_ptr<Task>> task = MakeTask(job.task, plan.asset_root);
  if (!task.ok()) return task.status();
  EpisodeSettings settings = SettingsOf(plan, job);
  settings.asset_root = plan.asset_root;
  Result<Scenario> scenario = (*task)->Draw(settings.key);
  if (!scenario.ok()) return scenario.status();
  Result<std::string> instruction = InstructionOf((*task)->info(), *scenario, settings.phrasing);
  if (!instruction.ok()) return instruction.status();
  scenario->instruction = *std::move(instruction);
  EpisodeRecord record;
  record.begin = BeginEvent(**task, *scenario, settings, plan.policy);
  record.end.id = record.begin.id;
  record.end.outcome = "error";
  record.end.error = why;
  record.end.stages.assign(record.begin.stages.size(), false);
  return record;
}

}  // namespace kvla
