// SPDX-License-Identifier: Apache-2.0
// The bounded buffer between a running episode and whoever watches it.
#ifndef KVLA_RESULTS_LIVE_TRACE_RING_H_
#define KVLA_RESULTS_LIVE_TRACE_RING_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>

#include "results/trace/trace.h"

namespace kvla {

// Between one producer and one slower reader. Thread-safe. The producer never waits for the reader
// to make room; memory is bounded by `capacity` events, whatever the reader does. When full:
// the oldest StepEvent goes, and is counted; if there is none, an InferenceEvent is merged into the
// newest one queued of its episode (later numbers and images win, the changes of both are kept, one
// per chunk), so that no cache decision is lost; if nothing can be merged, the oldest finished
// episode goes as a whole, and is counted; after that the oldest command. Images are kept for the
// newest `max_images` inferences.
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
  bool DropOldestCommand();
  void TrimImages();

  const size_t capacity_, max_images_;
  mutable std::mutex mutex_;
  std::deque<TraceEvent> queue_;
  size_t queued_images_ = 0;  // inferences in the queue that hold images
  Counts counts_;
};

}  // namespace kvla

#endif  // KVLA_RESULTS_LIVE_TRACE_RING_H_
