// SPDX-License-Identifier: Apache-2.0
// What an episode says about itself, as plain structs: the run's store, the live viewer and replay
// all read this one stream.
//
// Order within an episode: EpisodeBegin; then, for each inference, its InferenceEvent and the
// StepEvents of the control steps that follow it; EpisodeEnd last, always, errors included. A
// CommandEvent stands where it was obeyed.
#ifndef KVLA_RESULTS_TRACE_TRACE_H_
#define KVLA_RESULTS_TRACE_TRACE_H_

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/chunk_decision.h"
#include "base/inference_cost.h"
#include "base/status.h"

namespace kvla {

// Names one episode of a run. `seed` is the episode's index in the evaluation stream.
struct EpisodeId {
  std::string arm, task, delay;
  int64_t seed = 0;
  auto operator<=>(const EpisodeId&) const = default;
};

// "full recall_color/long seed 7"
std::string ToString(const EpisodeId& id);

// Row 0 is the top row; RGB8, row-major.
struct TraceImage {
  std::string camera;
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;
};

struct TraceStage {
  std::string name;
  bool decisive = false;  // needs the memory; else a motor stage
};

struct TraceCue {
  double begin_s = 0, end_s = 0;  // episode time
};

// What looks like a cue and is to be ignored.
struct TraceDecoy {
  double begin_s = 0, end_s = 0;  // episode time
  int what = 0;                   // is shown: a class of the task's
};

struct EpisodeBegin {
  EpisodeId id;
  std::string split;  // "train", "validation" or "evaluation"
  uint64_t run_seed = 0;
  std::string instruction;
  std::string scene;         // MJCF path, relative to the asset root
  std::string cache_policy;  // of the arm
  // What that method can do; absent in runs from before it was kept.
  std::optional<MethodTraits> method;
  std::string disturbance = "none";
  // Options of the task by their keys (tasks/task_options.h); empty in runs from before there were
  // any, which had the defaults.
  std::map<std::string, std::string> suite;
  bool twin = false;  // the same episode but for what is to be remembered
  // When the first cue began, and from the last one's end to the decision, seconds; absent without
  // them, and in runs from before they were kept.
  std::optional<double> onset_s, wait_s;
  int horizon_steps = 0;  // control steps
  double control_rate_hz = 20;
  int replan_steps = 4;  // control steps between inferences
  int tokens_per_block = 0, chunk_blocks = 0, window_blocks = 0, instruction_tokens = 0;
  double chance = 0;  // of the decisive stage; 0 for a control task
  std::vector<TraceStage> stages;
  std::vector<TraceCue> cues;
  std::vector<TraceDecoy> decoys;     // in order of time
  std::vector<std::string> warnings;  // e.g. "the window covers the cue"
};

struct InferenceEvent {
  int index = 0;         // 0, 1, ... within the episode: also the index of its frame block
  int control_step = 0;  // control steps done before it
  double time_s = 0;     // episode time
  InferenceCost cost;
  // Under a clock that does not wait: what the policy took as the world saw it, the control steps
  // that were made meanwhile on the last target, and whether that was more than a control period.
  double think_s = 0;
  int stale_steps = 0;
  bool late = false;
  std::vector<ChunkDecision> changes;  // what was decided at this inference
  std::vector<float> action_chunk;     // [4, 7], the policy's targets; may be empty
  std::vector<TraceImage> images;      // what the policy saw; live only, never stored
  // [layers, 1 + chunks]: the share of the attention that the instruction, then each chunk
  // received. Live only, never stored; may be empty.
  std::vector<float> attention;
};

struct StepEvent {
  int control_step = 0;  // of the action: 0 for the first
  std::array<float, 7> action{};
  std::vector<double> state;  // World::SaveState() after the step; may be empty
  std::vector<bool> stages;   // reached so far
};

// What a person did to a live episode, which is then not comparable with others.
struct CommandEvent {
  int control_step = 0;  // the first one that it had an effect on
  std::string name;      // "pause", "pull", or the cache setting that was changed
  std::string text;      // the setting's new value
  // "pull": body, point in the body's frame [m], where it is pulled to in the world [m].
  std::vector<double> numbers;
};

struct EpisodeEnd {
  EpisodeId id;
  std::string outcome;  // "success", "failure" or "error"
  bool success = false;
  double progress = 0;  // fraction of the stages reached
  bool decisive_reached = false, decisive_right = false;
  bool motor_ok = false;   // every motor stage reached
  int steps = 0;           // control steps done
  std::string state_hash;  // hex, of the last state
  std::vector<bool> stages;
  double wall_s = 0;
  std::string error;       // empty unless outcome == "error"
  bool comparable = true;  // no person intervened
};

using TraceEvent = std::variant<EpisodeBegin, InferenceEvent, StepEvent, EpisodeEnd, CommandEvent>;

class TraceSink {
 public:
  virtual ~TraceSink() = default;
  // Must not throw and must not wait on a reader.
  virtual void On(const TraceEvent& event) = 0;
};

class TraceSource {
 public:
  virtual ~TraceSource() = default;
  // Moves the next event into `event`; false when there is none now.
  virtual bool Poll(TraceEvent* event) = 0;
};

// Everything an episode left; also a TraceSink that gathers it (one episode at a time).
struct EpisodeRecord {
  EpisodeBegin begin;
  EpisodeEnd end;
  std::vector<InferenceEvent> inferences;
  std::vector<StepEvent> steps;
  std::vector<CommandEvent> commands;
  std::string video;  // its file, relative to the run's folder; empty without one
};

class EpisodeRecorder : public TraceSink {
 public:
  void On(const TraceEvent& event) override;  // EpisodeBegin starts afresh; drops images
  bool complete() const { return complete_; }
  EpisodeRecord Take();  // leaves the recorder empty

 private:
  EpisodeRecord record_;
  bool complete_ = false;
};

// What is kept of an episode. Costs (latency, bytes, FLOPs) and the step at which each stage was
// reached are always stored. kSummary adds cache decisions and the action of each control step,
// from which the episode can be simulated again bit for bit (harness/episode/episode_states.h);
// kFull adds the policy's action chunks, and the state after each control step if it was given.
enum class TraceLevel { kOff, kSummary, kFull };
Result<TraceLevel> ParseTraceLevel(const std::string& name);  // "off", "summary", "full"

// Sends every event to each of several sinks, in order. Holds no ownership.
class TeeSink : public TraceSink {
 public:
  explicit TeeSink(std::vector<TraceSink*> sinks) : sinks_(std::move(sinks)) {}
  void On(const TraceEvent& event) override {
    for (TraceSink* sink : sinks_) sink->On(event);
  }

 private:
  std::vector<TraceSink*> sinks_;
};

}  // namespace kvla

#endif  // KVLA_RESULTS_TRACE_TRACE_H_
