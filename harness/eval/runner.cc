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
  settings.key = {*ParseSplit(plan.config.split),
                  static_cast<uint64_t>(plan.config.seed),
                  job.task,
                  job.delay,
                  static_cast<uint64_t>(job.seed),
                  job.twin};
  // PlanRun() and the field list checked these names.
  settings.phrasing = *ParsePhrasing(plan.config.instructions);
  settings.disturbance = *ParseDisturbance(plan.config.disturbance);
  return settings;
}

RunningEpisode::~RunningEpisode() {
  loop_.reset();
  if (world_ != nullptr) {
    stage_->idle.push_back(std::move(world_));
    --stage_->running;
  }
  if (session_ != nullptr) idle_sessions_->push_back(std::move(session_));
}

Result<std::unique_ptr<EpisodeRunner>> EpisodeRunner::Create(const RunPlan& plan, Options options) {
  std::unique_ptr<EpisodeRunner> runner(new EpisodeRunner(plan, options));
  Result<std::unique_ptr<Policy>> policy = LoadPolicy(plan);
  if (!policy.ok()) return policy.status();
  runner->policy_ = *std::move(policy);
  runner->plan_.policy = runner->policy_->spec();
  runner->idle_sessions_.resize(plan.caches.size());
  return runner;
}

Result<TaskStage*> EpisodeRunner::StageOf(const std::string& name) {
  const auto found = stages_.find(name);
  if (found != stages_.end()) return &found->second;
  // Scenes that nobody plays on go first: each has a GL context.
  std::erase_if(stages_, [](const auto& stage) { return stage.second.running == 0; });
  TaskStage stage;
  Result<std::unique_ptr<Task>> task = MakeTask(name, plan_.asset_root, plan_.config.suite);
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
  stage.task = *std::move(task);
  stage.renderer = *std::move(renderer);
  stage.idle.push_back(*std::move(world));
  gl_renderer_ = stage.renderer->gl_renderer();
  return &stages_.emplace(name, std::move(stage)).first->second;
}

Result<std::unique_ptr<Session>> EpisodeRunner::SessionOf(int arm) {
  std::vector<std::unique_ptr<Session>>& idle = idle_sessions_[static_cast<size_t>(arm)];
  if (idle.empty()) {
    return policy_->NewSession(
        {.cache = plan_.caches[static_cast<size_t>(arm)], .max_blocks = plan_.max_blocks});
  }
  std::unique_ptr<Session> session = std::move(idle.back());
  idle.pop_back();
  return session;
}

Result<std::unique_ptr<RunningEpisode>> EpisodeRunner::Begin(const EpisodeJob& job,
                                                             BeforeStep before_step,
                                                             TraceSink* sink) {
  Result<TaskStage*> stage = StageOf(job.task);
  if (!stage.ok()) return stage.status();
  std::unique_ptr<RunningEpisode> episode(new RunningEpisode(job));
  episode->stage_ = *stage;
  std::vector<std::unique_ptr<World>>& idle = (*stage)->idle;
  if (idle.empty()) {
    Result<std::unique_ptr<World>> world = World::Load((*stage)->task->scene());
    if (!world.ok()) return world.status();
    idle.push_back(*std::move(world));
  }
  episode->world_ = std::move(idle.back());
  idle.pop_back();
  ++(*stage)->running;
  Result<std::unique_ptr<Session>> session = SessionOf(job.arm);
  if (!session.ok()) return session.status();
  episode->session_ = *std::move(session);
  episode->idle_sessions_ = &idle_sessions_[static_cast<size_t>(job.arm)];

  EpisodeSettings settings = SettingsOf(plan_, episode->job_);
  settings.asset_root = plan_.asset_root;
  settings.steps = options_.steps;
  settings.states = options_.states;
  settings.images = options_.images;
  settings.before_step = std::move(before_step);
  Result<std::unique_ptr<EpisodeLoop>> loop =
      EpisodeLoop::Begin(settings, *(*stage)->task, *episode->world_, *(*stage)->renderer,
                         plan_.policy, *episode->session_, sink);
  if (!loop.ok()) return loop.status();
  episode->loop_ = *std::move(loop);
  return episode;
}

void EpisodeRunner::Step(std::span<RunningEpisode* const> episodes, std::vector<bool>* ended) {
  ended->assign(episodes.size(), false);
  std::vector<EpisodeLoop*> due;
  std::vector<InferRequest> requests;
  for (size_t i = 0; i < episodes.size(); ++i) {
    EpisodeLoop& loop = *episodes[i]->loop_;
    if (loop.Advance()) {
      due.push_back(&loop);
      requests.push_back({&loop.session(), &loop.observation()});
    } else {
      (*ended)[i] = true;
    }
  }
  if (due.empty()) return;
  std::vector<Result<Inference>> answers = policy_->Infer(requests);
  for (size_t i = 0; i < due.size(); ++i) due[i]->Answer(std::move(answers[i]));
}

void EpisodeRunner::Finish(RunningEpisode* episode) {
  std::vector<bool> ended = {false};
  while (!ended[0]) Step({&episode, 1}, &ended);
}

Result<EpisodeRecord> LostRecord(const RunPlan& plan, const EpisodeJob& job,
                                 const std::string& why) {
  Result<std::unique_ptr<Task>> task = MakeTask(job.task, plan.asset_root, plan.config.suite);
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
