// SPDX-License-Identifier: Apache-2.0
// Everything that episodes of a run need, built once and reused: the policy, a session an arm, one
// scene.
#ifndef KVLA_HARNESS_EVAL_RUNNER_H_
#define KVLA_HARNESS_EVAL_RUNNER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "harness/episode/episode.h"
#include "harness/eval/run_config.h"
#include "policy/policy.h"
#include "results/trace/trace.h"
#include "sim/renderer.h"
#include "sim/world.h"
#include "tasks/task.h"

namespace kvla {

// For one thread: it owns a GL context. A worker has one, and so has the viewer's live thread.
class EpisodeRunner {
 public:
  // What a run wants beside its config.
  struct Options {
    bool steps = false, states = false, images = false;  // see EpisodeSettings
    // The thread that renders may have to be another one than that which loads the policies, so
    // scenes are made at the first Run().
    std::function<StepVerdict(bool inference_due)> before_step;
  };

  // Loads the policy, and makes a session of it for each arm. `plan` is copied.
  static Result<std::unique_ptr<EpisodeRunner>> Create(const RunPlan& plan, Options options);

  // Runs one episode; see RunEpisode(). `job.arm` indexes the plan's arms.
  Status Run(const EpisodeJob& job, TraceSink* sink);

  // What draws; empty before the first Run().
  std::string gl_renderer() const { return renderer_ ? renderer_->gl_renderer() : ""; }
  const RunPlan& plan() const { return plan_; }
  // For a person's hand between control steps; null before the first Run().
  World* world() { return world_.get(); }
  Session& session(int arm) { return *sessions_[static_cast<size_t>(arm)]; }

 private:
  EpisodeRunner(RunPlan plan, Options options)
      : plan_(std::move(plan)), options_(std::move(options)) {}
  Status Prepare(const std::string& task);

  RunPlan plan_;
  Options options_;
  std::unique_ptr<Policy> policy_;
  std::vector<std::unique_ptr<Session>> sessions_;  // by arm
  std::unique_ptr<Task> task_;
  std::unique_ptr<World> world_;
  std::unique_ptr<Renderer> renderer_;
};

// How an episode is set up from its job.
EpisodeSettings SettingsOf(const RunPlan& plan, const EpisodeJob& job);

// The record of an episode that no worker survived.
Result<EpisodeRecord> LostRecord(const RunPlan& plan, const EpisodeJob& job,
                                 const std::string& why);

}  // namespace kvla

#endif  // KVLA_HARNESS_EVAL_RUNNER_H_
