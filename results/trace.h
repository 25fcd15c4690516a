// What an episode says about itself, as plain structs: the run's store, the live viewer and replay
// all read this one stream.
//
// Order within an episode: EpisodeBegin; then, for each inference, its InferenceEvent and the
// StepEvents of the control steps that follow it; EpisodeEnd last, always, errors included.
#ifndef KVLA_RESULTS_TRACE_H_
#define KVLA_RESULTS_TRACE_H_

#include <array>
#include <compare>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace kvla {

// Names one episode of a run. `seed` is the episode's index in the evaluation stream.
struct EpisodeId {
  std::string arm, task, delay;
  int64_t seed = 0;
  auto operator<=>(const EpisodeId&) const = default;
};

// "full recall_color/long seed 7"
std::string ToString(const EpisodeId& id);

// Wall-clock milliseconds of one inference, by part.
struct LatencyParts {
  double render_ms = 0, encode_ms = 0, linear_ms = 0, attend_ms = 0, gate_ms = 0, compact_ms = 0,
         act_ms = 0;

  double decoder_ms() const { return linear_ms + attend_ms + gate_ms + compact_ms; }
  double total_ms() const { return render_ms + encode_ms + decoder_ms() + act_ms; }
};

// What a chunk of cached tokens is now.
enum class ChunkState : uint8_t { kWindow = 0, kWhole = 1, kCompressed = 2, kDropped = 3 };

// A chunk whose state, score or reason changed at this inference.
struct ChunkChange {
  int chunk = 0;
  ChunkState action = ChunkState::kWindow;
  float score = 0;     // in (0, 1); 0 where the method gives none
  uint8_t reason = 0;  // ReasonCode of kv_efficient/plan.h
  bool operator==(const ChunkChange&) const = default;
};

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

struct EpisodeBegin {
  EpisodeId id;
  std::string split;  // "train", "validation" or "evaluation"
  uint64_t run_seed = 0;
  std::string instruction;
  std::string scene;         // MJCF path, relative to the asset root
  std::string cache_policy;  // of the arm
  int horizon_steps = 0;     // control steps
  double control_rate_hz = 20;
  int replan_steps = 4;  // control steps between inferences
  int tokens_per_block = 0, chunk_blocks = 0, window_blocks = 0, instruction_tokens = 0;
  double chance = 0;  // of the decisive stage; 0 for a control task
  std::vector<TraceStage> stages;
  std::vector<TraceCue> cues;
  std::vector<std::string> warnings;  // e.g. "the window covers the cue"
};

struct InferenceEvent {
  int index = 0;         // 0, 1, ... within the episode: also the index of its frame block
  int control_step = 0;  // control steps done before it
  double time_s = 0;     // episode time
  LatencyParts latency;
  int64_t kv_live_bytes = 0, kv_reserved_bytes = 0, kv_transient_bytes = 0;
  int cached_tokens = 0;
  double flops = 0;  // from the cost model, the gate's own included
  std::vector<ChunkChange> changes;
  std::vector<float> action_chunk;  // [4, 7], the policy's targets; may be empty
  std::vector<TraceImage> images;   // what the policy saw; live only, never stored
};

struct StepEvent {
  int control_step = 0;  // of the action: 0 for the first
  std::array<float, 7> action{};
  std::vector<double> state;  // World::SaveState() after the step; may be empty
  std::vector<bool> stages;   // reached so far
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
  std::string error;  // empty unless outcome == "error"
};

using TraceEvent = std::variant<EpisodeBegin, InferenceEvent, StepEvent, EpisodeEnd>;

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

// Between one producer and one slower reader. Thread-safe. The producer never waits for the reader
// to make room; memory is bounded by `capacity` events, whatever the reader does. When full:
// the oldest StepEvent goes, and is counted; if there is none, an InferenceEvent is merged into the
// newest one queued of its episode (later numbers and images win, the changes of both are kept, one
// per chunk), so that no cache decision is lost; if nothing can be merged, the oldest finished
// episode goes as a whole, and is counted. Images are kept for the newest `max_images` inferences.
class BoundedTraceRing : public TraceSink, public TraceSource {
 public:
  struct Counts {
    int64_t dropped_steps = 0, dropped_images = 0, merged_inferences = 0, dropped_episodes = 0;
  };

  explicit BoundedTraceRing(size_t capacity = 256, size_t max_images = 16);

  void On(const TraceEvent& event) override;
  bool Poll(TraceEvent* event) override;
  Counts counts() const;
  size_t size() const;

 private:
  bool DropOldestStep();
  bool MergeInference(const InferenceEvent& event);
  bool DropOldestEpisode();
  void TrimImages();

  const size_t capacity_, max_images_;
  mutable std::mutex mutex_;
  std::deque<TraceEvent> queue_;
  size_t queued_images_ = 0;  // inferences in the queue that hold images
  Counts counts_;
};

}  // namespace kvla

#endif  // KVLA_RESULTS_TRACE_H_
