// SPDX-License-Identifier: Apache-2.0
// Everything that episodes of a run need, built once and reused: the policy, a session an arm, one
// scene.
#ifndef KVLA_HARNESS_EVAL_RUNNER_H_
#define KVLA_HARNESS_EVAL_RUNNER_H_

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "harness/episode/episode.h"
#include "harness/episode/episode_loop.h"
#include "harness/eval/run_config.h"
#include "policy/policy.h"
#include "results/trace/trace.h"
#include "sim/renderer.h"
#include "sim/world.h"
#include "tasks/task.h"

namespace kvla {

// A task's scene, and worlds of it: as many as episodes of it have run at a time.
struct TaskStage {
  std::unique_ptr<Task> task;
  std::unique_ptr<Renderer> renderer;
  std::vector<std::unique_ptr<World>> idle;
  int running = 0;  // episodes
};

// An episode that a runner has begun. Gives its world and session back at its end.
class RunningEpisode {
 public:
  ~RunningEpisode();
  RunningEpisode(const RunningEpisode&) = delete;
  RunningEpisode& operator=(const RunningEpisode&) = delete;

  const EpisodeJob& job() const { return job_; }
  World& world() { return *world_; }
  Session& session() { return *session_; }

 private:
  friend class EpisodeRunner;
  explicit RunningEpisode(EpisodeJob job) : job_(std::move(job)) {}

  const EpisodeJob job_;  // the settings' key points into it
  TaskStage* stage_ = nullptr;
  std::vector<std::unique_ptr<Session>>* idle_sessions_ = nullptr;
  std::unique_ptr<World> world_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<EpisodeLoop> loop_;
};

// For one thread: it owns GL contexts. A worker has one, and so has the viewer's live thread.
// Outlives its episodes.
class EpisodeRunner {
 public:
  // What a run wants beside its config.
  struct Options {
    bool steps = false, states = false, images = false;  // see EpisodeSettings
  };
  // See EpisodeSettings::before_step; empty: none.
  using BeforeStep = std::function<StepVerdict(bool inference_due)>;

  // Loads the policy. Sessions and scenes are made as episodes need them, on the thread that begins
  // them. `plan` is copied.
  static Result<std::unique_ptr<EpisodeRunner>> Create(const RunPlan& plan, Options options);

  // Begins an episode; `job.arm` indexes the plan's arms. `sink` outlives it. See EpisodeLoop.
  Result<std::unique_ptr<RunningEpisode>> Begin(const EpisodeJob& job, BeforeStep before_step,
                                                TraceSink* sink);
  // Takes each to its next inference and asks the policy once for all of them. True in `ended` for
  // those that are over. What comes out for one does not depend on the others.
  void Step(std::span<RunningEpisode* const> episodes, std::vector<bool>* ended);
  // To its end.
  void Finish(RunningEpisode* episode);

  // What draws; empty before the first Begin().
  const std::string& gl_renderer() const { return gl_renderer_; }
  const RunPlan& plan() const { return plan_; }

 private:
  EpisodeRunner(RunPlan plan, Options options) : plan_(std::move(plan)), options_(options) {}
  Result<TaskStage*> StageOf(const std::string& task);
  Result<std::unique_ptr<Session>> SessionOf(int arm);

  RunPlan plan_;
  Options options_;
  std::unique_ptr<Policy> policy_;
  std::vector<std::vector<std::unique_ptr<Session>>> idle_sessions_;  // by arm
  std::map<std::string, TaskStage> stages_;
  std::string gl_renderer_;
};

// How an episode is set up from its job.
EpisodeSettings SettingsOf(const RunPlan& plan, const EpisodeJob& job);

// The record of an episode that no worker survived.
Result<EpisodeRecord> LostRecord(const RunPlan& plan, const EpisodeJob& job,
                                 const std::string& why);

}  // namespace kvla

#endif  // KVLA_HARNESS_EVAL_RUNNER_H_
