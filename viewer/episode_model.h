// SPDX-License-Identifier: Apache-2.0
// What a trace has said so far about the episode on display, in the form that panels draw. Pure:
// no window, no clock.
#ifndef KVLA_VIEWER_EPISODE_MODEL_H_
#define KVLA_VIEWER_EPISODE_MODEL_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "results/trace/trace.h"

namespace kvla {

// What became of a chunk, and when.
struct ChunkEvent {
  int inference = 0;
  ChunkDecision decision;
};

// One chunk of cached tokens over the episode.
struct ChunkTrack {
  int index = 0;
  int first_block = 0;  // frame blocks [first_block, last_block]; the newest chunk still grows
  int last_block = 0;
  double begin_s = 0;  // episode time that its frames cover
  double end_s = 0;
  bool cue = false;                // a cue was visible in that time
  std::vector<ChunkEvent> events;  // by inference

  // As decided up to and with inference `inference`; null: never decided on, so in the window.
  const ChunkEvent* DecisionAt(int inference) const;
  ChunkAction StateAt(int inference) const;
};

struct InferencePoint {
  int index = 0;
  double time_s = 0;
  InferenceCost cost;
  double think_s = 0;  // under a clock that does not wait, see InferenceEvent
  int stale_steps = 0;
  bool late = false;
  std::vector<float> action_chunk;  // [n, 7], the policy's targets; may be empty
  std::vector<float> attention;     // [layers, 1 + chunks], see InferenceEvent; may be empty
  std::vector<TraceImage> images;   // empty where the trace had none
};

struct StepPoint {
  int control_step = 0;
  std::array<float, 7> action{};
  std::shared_ptr<const std::vector<double>> state;  // null where the trace had none
};

// When a stage of the task was reached.
struct StageMark {
  TraceStage stage;
  std::optional<double> reached_s;
};

class EpisodeModel {
 public:
  // Takes the next event. EpisodeBegin starts afresh. Events of a trace with gaps (dropped display
  // frames) are fine.
  void Apply(const TraceEvent& event);

  bool started() const { return started_; }
  const EpisodeBegin& begin() const { return begin_; }
  const std::optional<EpisodeEnd>& end() const { return end_; }
  const std::vector<ChunkTrack>& chunks() const { return chunks_; }
  const std::vector<InferencePoint>& inferences() const { return inferences_; }
  const std::vector<StepPoint>& steps() const { return steps_; }
  const std::vector<StageMark>& stages() const { return stages_; }
  const std::vector<CommandEvent>& commands() const { return commands_; }
  // Episodes begun since the start.
  int episodes() const { return episodes_; }
  // A new number at each event.
  int64_t revision() const { return revision_; }

  double control_period_s() const { return 1 / begin_.control_rate_hz; }
  double replan_period_s() const { return begin_.replan_steps / begin_.control_rate_hz; }
  double horizon_s() const { return begin_.horizon_steps / begin_.control_rate_hz; }
  double time_s() const { return time_s_; }  // of the newest event
  // The newest inference, or -1.
  int last_inference() const { return inferences_.empty() ? -1 : inferences_.back().index; }

  // At or before a moment; null if there is none.
  const InferencePoint* InferenceAt(double time_s) const;
  const StepPoint* StepAt(double time_s) const;
  // The newest images at or before a moment; null if there are none.
  const InferencePoint* ImagesAt(double time_s) const;
  // The first kept image of a chunk's frames, or null.
  const TraceImage* Thumbnail(const ChunkTrack& chunk) const;
  // The frame block of a chunk that is worth a look: the first that shows a cue, else the first.
  int FrameOf(const ChunkTrack& chunk) const;
  // A cue was lit at that moment.
  bool CueAt(double time_s) const;
  // The last value that a person set for a setting up to a moment; null: none.
  const CommandEvent* SettingAt(const std::string& name, double time_s) const;
  // The pull or turn of a person's hand that holds at a moment; null: none.
  const CommandEvent* HandAt(double time_s) const;

  // The share of an inference's attention that a chunk received: in one layer, or (-1) the mean
  // over all. `chunk` -1: the instruction. Negative: not known.
  double AttentionOf(const InferencePoint& point, int chunk, int layer = -1) const;
  int AttentionLayers(const InferencePoint& point) const;  // 0: none known

  // Numbers of chunks by state, as of an inference.
  int CountAt(int inference, ChunkAction state) const;
  // What a chunk takes in the cache; bytes from what a cached token takes now (mean over sides).
  int TokensOf(const ChunkTrack& chunk, int inference) const;
  double BytesOf(const ChunkTrack& chunk, int inference) const;
  // Bytes that the whole history would take, from the bytes a cached token takes now; 0: unknown.
  double FullBytesAt(const InferencePoint& point) const;
  // A percentile of the total latency over the inferences, `p` in [0, 100]; 0 without any.
  double LatencyPercentile(double p) const;

 private:
  void On(const EpisodeBegin& begin);
  void On(const InferenceEvent& event);
  void On(const StepEvent& event);
  void On(const EpisodeEnd& end);
  void On(const CommandEvent& command);
  void Grow(int block);  // makes chunks up to the one that holds `block`
  void MarkStages(const std::vector<bool>& reached, double time_s);

  bool started_ = false;
  EpisodeBegin begin_;
  std::optional<EpisodeEnd> end_;
  std::vector<ChunkTrack> chunks_;
  std::vector<InferencePoint> inferences_;
  std::vector<StepPoint> steps_;
  std::vector<StageMark> stages_;
  std::vector<CommandEvent> commands_;
  int episodes_ = 0;
  int64_t revision_ = 0;
  double time_s_ = 0;
};

// Chunks of one episode under two settings that both have seen, each as of an inference of its own,
// and that are not in the same state.
std::vector<int> DifferingChunks(const EpisodeModel& a, int inference_a, const EpisodeModel& b,
                                 int inference_b);

}  // namespace kvla

#endif  // KVLA_VIEWER_EPISODE_MODEL_H_
