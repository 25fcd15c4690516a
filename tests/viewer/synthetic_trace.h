// A made-up episode for the viewer's tests.
#ifndef KVLA_TESTS_VIEWER_SYNTHETIC_TRACE_H_
#define KVLA_TESTS_VIEWER_SYNTHETIC_TRACE_H_

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "results/trace.h"

namespace kvla {

// 4 control steps an inference at 20 Hz, so 0.2 s; chunks of 4 blocks, so 0.8 s.
inline EpisodeBegin SyntheticBegin() {
  EpisodeBegin begin;
  begin.id = {"gated", "recall_color", "short", 7};
  begin.split = "evaluation";
  begin.instruction = "press the button of the color the lamp showed";
  begin.scene = "tasks/recall_color/scene.xml";
  begin.cache_policy = "gated";
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
  event.latency = {1.5, 2.5, 1.0, 0.5, 0.25, 0.25, 0.5};
  event.cached_tokens = 100;
  event.kv_live_bytes = 100 * 1024;
  event.kv_reserved_bytes = 128 * 1024;
  event.flops = 1e6;
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
