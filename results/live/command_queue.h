// SPDX-License-Identifier: Apache-2.0
// What a person asks of a live episode: the viewer pushes, the runner's thread obeys between
// control steps. Neither side knows more of the other than this and the trace.
#ifndef KVLA_RESULTS_LIVE_COMMAND_QUEUE_H_
#define KVLA_RESULTS_LIVE_COMMAND_QUEUE_H_

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

namespace kvla {

enum class ViewerCommandKind : uint8_t {
  kPause,
  kResume,
  kStep,       // one control step, then pause
  kInference,  // up to the end of the next inference's action chunk, then pause
  kRestart,    // the same episode from its start
  kNext,       // the next seed
  kSpeed,      // `value` times real time; 0: as fast as it goes
  kQuit,
  kOpen,     // another episode, which the owner of the queue holds
  kPull,     // a hand on a body: see ViewerCommand::pull; holds until kRelease
  kTurn,     // the same hand turns a body: see ViewerCommand::pull
  kRelease,  // lets go
  kSetting,  // a setting of the cache was changed: the owner of the queue holds it
  kFinish,   // the episode goes on unwatched, as fast as it goes; then as kQuit
};

struct ViewerCommand {
  ViewerCommandKind kind = ViewerCommandKind::kPause;
  double value = 0;
  // kPull: body, point in its frame [m], target in the world [m]; kTurn: body, quaternion in the
  // world.
  std::array<double, 7> pull{};
  bool operator==(const ViewerCommand&) const = default;
};

// First in, first out. Thread-safe; pushing never waits. Bounded: the oldest commands go first
// when nobody obeys them, but for kQuit.
class CommandQueue {
 public:
  static constexpr size_t kCapacity = 1024;

  void Push(ViewerCommand command);
  bool TryPop(ViewerCommand* command);
  // Waits for a command, up to `timeout`. False if there was none.
  bool WaitPop(ViewerCommand* command, std::chrono::milliseconds timeout);

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<ViewerCommand> queue_;
};

// The runner's side: holds the episode while it is paused, paces it, and says when it must end.
// For the runner's thread alone.
class StepGate {
 public:
  enum class Verdict { kGo, kRestart, kNext, kOpen, kQuit };
  // Told of every command that is obeyed, on the runner's thread.
  using Listener = std::function<void(const ViewerCommand&)>;

  // `speed` times real time, 0: as fast as it goes. `control_period_s`: of one control step.
  StepGate(CommandQueue* queue, double control_period_s, double speed, bool paused = false)
      : queue_(queue), control_period_s_(control_period_s), speed_(speed), paused_(paused) {}

  void set_listener(Listener listener) { listener_ = std::move(listener); }
  // An episode begins: nobody has touched it yet, unless it is held from its start.
  void BeginEpisode() { touched_ = paused_; }
  // Whatever a person did before the episode bears on it.
  void Touch() { touched_ = true; }

  // Called before each control step; returns when the step may be done, or why the episode ends.
  // `inference_due`: the policy will be asked before this step.
  Verdict BeforeStep(bool inference_due);
  // Called when an episode is over: waits for a wish, kRestart, kNext, kOpen or kQuit.
  Verdict AfterEpisode();

  bool paused() const { return paused_; }
  // Seconds spent in BeforeStep(): no part of any latency.
  double waited_s() const { return waited_s_; }
  // How much of that a person asked for: pauses and the pace.
  double held_s() const { return held_s_; }
  // A person intervened: the episode is not comparable with others.
  bool touched() const { return touched_; }

 private:
  using Clock = std::chrono::steady_clock;
  // What a command means now; kGo unless it ends the episode.
  Verdict Obey(const ViewerCommand& command);
  void Pace();

  CommandQueue* queue_;
  Listener listener_;
  double control_period_s_;
  double speed_;
  bool paused_;
  bool touched_ = false;
  int steps_left_ = 0;             // single steps still to do while paused
  bool inference_wanted_ = false;  // ... or up to the end of an action chunk
  bool inference_seen_ = false;
  bool finish_ = false;
  double waited_s_ = 0, held_s_ = 0;
  Clock::time_point due_{};  // of the next step under a pace
};

}  // namespace kvla

#endif  // KVLA_RESULTS_LIVE_COMMAND_QUEUE_H_
