// SPDX-License-Identifier: Apache-2.0
// One episode as a stepper: it says when it needs an inference and goes on when it has one, so that
// a worker can hold several and ask the policy once for all that are due.
#ifndef KVLA_HARNESS_EPISODE_EPISODE_LOOP_H_
#define KVLA_HARNESS_EPISODE_EPISODE_LOOP_H_

#include <chrono>
#include <memory>
#include <vector>

#include "harness/episode/episode.h"
#include "harness/episode/policy_io.h"

namespace kvla {

// For one thread.
class EpisodeLoop {
 public:
  // Places the scene and begins the session; see RunEpisode() for the rest. Everything handed in
  // must outlive the loop, what the settings' key points to as well.
  static Result<std::unique_ptr<EpisodeLoop>> Begin(const EpisodeSettings& settings,
                                                    const Task& task, World& world,
                                                    Renderer& renderer, const PolicySpec& policy,
                                                    Session& session, TraceSink* sink);

  // Steps the world until the policy is to be asked: then true, and Answer() comes next. False: the
  // episode is over, and the sink has got its end.
  bool Advance();
  // What the policy sees. REQUIRES: Advance() returned true.
  const FrameInput& observation() const { return observation_; }
  Session& session() { return session_; }
  void Answer(Result<Inference> inference);

 private:
  using SteadyClock = std::chrono::steady_clock;

  EpisodeLoop(const EpisodeSettings& settings, const Task& task, World& world, Renderer& renderer,
              const PolicySpec& policy, Session& session, Scenario scenario, TraceSink* sink);
  Status Start();
  Status See();  // draws the observation
  Status Take(const Inference& inference);
  void Step();  // one control step of the chunk at hand, or of waiting for it
  Status Act(const Action& action);
  Action NextAction();  // of the chunk at hand
  Action HoldAction();  // while there is no new one
  void Latch(const Progress& progress);
  void End();

  const EpisodeSettings settings_;
  const Task& task_;
  World& world_;
  Renderer& renderer_;
  const PolicySpec policy_;
  Session& session_;
  const Scenario scenario_;
  TraceSink* sink_;

  EpisodeBegin begin_;
  Clock clock_;
  Disturbance disturbance_;
  Status status_;
  bool done_ = false;
  int step_ = 0;   // the control step that comes next
  int steps_ = 0;  // that the world has made
  int stale_ = 0;  // control steps to make before the coming chunk is there
  int fresh_ = 0;  // control steps left of the chunk at hand
  int inferences_ = 0;
  // The chunk that the arm follows, and the one that it will follow when the world has caught up.
  ActionChunk chunk_, coming_;
  // The inference in progress.
  InferenceEvent event_;
  std::vector<Image> images_;
  Proprioception proprio_;
  FrameInput observation_;
  SteadyClock::time_point started_, asked_;

  std::vector<bool> stages_;
  Progress last_;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_EPISODE_EPISODE_LOOP_H_
