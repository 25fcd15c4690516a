// SPDX-License-Identifier: Apache-2.0
// One episode after the other on a thread of its own, for the viewer: it obeys a command queue and
// tells a ring, and waits for neither the window nor its frames.
#ifndef KVLA_HARNESS_LIVE_LIVE_RUNNER_H_
#define KVLA_HARNESS_LIVE_LIVE_RUNNER_H_

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "harness/eval/run_config.h"
#include "harness/eval/runner.h"
#include "harness/live/live_store.h"
#include "results/live/command_queue.h"
#include "results/live/trace_ring.h"
#include "results/trace/trace.h"

namespace kvla {

struct LiveJob {
  EpisodeJob job;
  CacheConfig cache;
};

// The members are for the viewer's thread.
class LiveRunner {
 public:
  // Starts with `job`, whose arm is one of the plan's. `store` keeps the episodes; may be null.
  LiveRunner(RunPlan plan, LiveJob job, double speed, LiveStore* store);
  ~LiveRunner();
  LiveRunner(const LiveRunner&) = delete;
  LiveRunner& operator=(const LiveRunner&) = delete;

  TraceSource* source() { return &ring_; }
  BoundedTraceRing::Counts counts() const { return ring_.counts(); }
  void Push(const ViewerCommand& command) { commands_.Push(command); }
  // Ends the episode in progress and begins this one.
  void Open(const LiveJob& job);
  // The cache that the next episode has.
  CacheConfig wanted_cache() const;
  // A person changed setting `name` to `value`, which gave `cache`: in force at once where that is
  // sound (AtOnce()), and from the next episode on in any case.
  void SetCache(const CacheConfig& cache, const std::string& name, const std::string& value);
  static bool AtOnce(const std::string& name) {
    return name == "threshold" || name == "budget_chunks";
  }
  // Ends the thread at its next control step and waits for it.
  void Quit();
  // The episode goes on to its end, then alive() turns false. Does not wait.
  void Finish() { commands_.Push({ViewerCommandKind::kFinish}); }
  bool alive() const { return alive_; }
  Status status() const;
  // Share of the time of the episodes so far that went into commands and the ring; what a person
  // asked for, pauses and the pace, is in neither.
  double waited_share() const { return waited_share_; }

 private:
  struct Change {
    std::string name, value;
    CacheConfig cache;
  };
  class Sink;

  void Run();
  // Makes the runner that the wanted job needs, unless it is there already.
  Status Prepare(const LiveJob& wanted);
  void Obey(const ViewerCommand& command);
  // Settings of `cache` that are not those of the config, as commands of the first step.
  std::vector<CommandEvent> ChangesFrom(const LiveJob& wanted) const;
  StepVerdict BeforeStep(bool inference_due);
  void CountTime();

  const RunPlan plan_;
  BoundedTraceRing ring_;
  LiveStore* store_;
  CommandQueue commands_;

  mutable std::mutex mutex_;
  LiveJob wanted_;
  std::vector<Change> changes_;  // not obeyed yet
  Status status_;

  // Of the runner's thread.
  StepGate gate_;
  StepGate::Verdict verdict_ = StepGate::Verdict::kGo;
  std::unique_ptr<EpisodeRunner> runner_;
  std::unique_ptr<RunningEpisode> episode_;  // in progress, of Run()
  EpisodeRecorder recorder_;
  TeeSink out_;
  std::optional<LiveJob> loaded_;
  int control_step_ = 0;
  Sink* sink_ = nullptr;                         // of Run()
  std::chrono::steady_clock::time_point began_;  // the episode in progress
  double episodes_s_ = 0;                        // those before it, by the wall clock

  std::atomic<bool> alive_{true};
  std::atomic<double> waited_share_{0};
  std::thread thread_;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_LIVE_LIVE_RUNNER_H_
