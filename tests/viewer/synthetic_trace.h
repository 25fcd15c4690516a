// SPDX-License-Identifier: Apache-2.0
// A made-up episode for the viewer's tests.
#ifndef KVLA_TESTS_VIEWER_SYNTHETIC_TRACE_H_
#define KVLA_TESTS_VIEWER_SYNTHETIC_TRACE_H_

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "results/trace/trace.h"

namespace kvla {

// 4 control steps an inference at 20 Hz, so 0.2 s; chunks of 4 blocks, so 0.8 s.
inline EpisodeBegin SyntheticBegin() {
  EpisodeBegin begin;
  begin.id = {"gated", "recall_color", "short", 7};
  begin.split = "evaluation";
  begin.instruction = "press the button of the color the lamp showed";
  begin.scene = "tasks/recall_color/scene.xml";
  begin.cache_policy = "gated";
  begin.method = {.scores = true, .unit_scores = true, .threshold = 0.5};
  begin.horizon_steps = 400;
  begin.tokens_per_block = 8;
  begin.chunk_blocks = 4;
  begin.window_blocks = 8;
  begin.instruction_tokens = 12;
  begin.chance = 0.25;
  begin.stages = {{"first_chore", false}, {"pressed", false}, {"right", true}};
  begin.cues = {{4.25, 4.75}};
  return begin;
}

inline InferenceEvent SyntheticInference(int index) {
  InferenceEvent event;
  event.index = index;
  event.control_step = 4 * index;
  event.time_s = 0.2 * index;
  event.cost.latency = {1.5, 2.5, 1.0, 0.5, 0.25, 0.25, 0.5};
  event.cost.cached_tokens = 100;
  event.cost.kv_live_bytes = 100 * 1024;
  event.cost.kv_committed_bytes = 128 * 1024;
  event.cost.flops = 1e6;
  return event;
}

inline StepEvent SyntheticStep(int step) {
  StepEvent event;
  event.control_step = step;
  event.action = {0.5f, 0, 0, 0, 0, 0, 1};
  return event;
}

// A flat picture.
inline TraceImage FlatImage(const std::string& camera, uint8_t r, uint8_t g, uint8_t b) {
  TraceImage image{camera, 16, 16, {}};
  for (int i = 0; i < 16 * 16; ++i) image.rgb.insert(image.rgb.end(), {r, g, b});
  return image;
}

// A whole episode under `arm`: 40 inferences, the cue in chunk 5, which `gated` keeps whole and any
// other arm drops. `state`: of every step; the arms act apart from control step 40 on.
inline EpisodeRecord SyntheticRecord(const std::string& arm, int64_t seed,
                                     const std::vector<double>& state) {
  constexpr int kInferences = 40;
  EpisodeRecord record;
  record.begin = SyntheticBegin();
  record.begin.id.arm = arm;
  record.begin.id.seed = seed;
  record.begin.cache_policy = arm == "gated" ? "gated" : "window";
  if (arm != "gated") record.begin.method = MethodTraits();
  for (int i = 0; i < kInferences; ++i) {
    InferenceEvent event = SyntheticInference(i);
    event.action_chunk.assign(28, 0.01f);
    const int chunk = (i - 11) / 4;
    if (i >= 11 && (i - 11) % 4 == 0) {
      const bool kept = arm == "gated" && chunk == 5;
      event.changes = {{chunk, kept ? ChunkAction::kWhole : ChunkAction::kDropped,
                        arm != "gated" ? 0.0f
                        : kept         ? 0.9f
                                       : 0.2f,
                        kept ? ReasonCode::kAboveThreshold : ReasonCode::kBelowThreshold}};
    }
    record.inferences.push_back(event);
    for (int s = 0; s < 4; ++s) {
      StepEvent step = SyntheticStep(4 * i + s);
      if (4 * i + s >= 40 && arm != "gated") step.action[1] = 0.25f;
      step.state = state;
      step.stages = {i > 5, i > 38, false};
      record.steps.push_back(step);
    }
  }
  EpisodeEnd& end = record.end;
  end.id = record.begin.id;
  end.success = arm == "gated";
  end.outcome = end.success ? "success" : "failure";
  end.decisive_reached = true;
  end.decisive_right = end.success;
  end.steps = 4 * kInferences;
  end.stages = {true, true, end.success};
  end.progress = end.success ? 1 : 2.0 / 3;
  return record;
}

// Hands out what is pushed.
class QueueSource : public TraceSource {
 public:
  void Push(TraceEvent event) { events_.push_back(std::move(event)); }
  bool Poll(TraceEvent* event) override {
    if (events_.empty()) return false;
    *event = std::move(events_.front());
    events_.pop_front();
    return true;
  }

 private:
  std::deque<TraceEvent> events_;
};

}  // namespace kvla

#endif  // KVLA_TESTS_VIEWER_SYNTHETIC_TRACE_H_
