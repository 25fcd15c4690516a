// SPDX-License-Identifier: Apache-2.0
// A stored episode as a TraceSource, in the order of the live stream.
#ifndef KVLA_RESULTS_TRACE_REPLAY_H_
#define KVLA_RESULTS_TRACE_REPLAY_H_

#include <cstddef>
#include <utility>
#include <vector>

#include "results/trace/trace.h"

namespace kvla {

// EpisodeBegin; inferences and steps by control step (an inference comes before the step that it
// chose); EpisodeEnd.
std::vector<TraceEvent> EventsOf(const EpisodeRecord& record);

class ReplaySource : public TraceSource {
 public:
  explicit ReplaySource(const EpisodeRecord& record) : events_(EventsOf(record)) {}
  bool Poll(TraceEvent* event) override {
    if (next_ >= events_.size()) return false;
    *event = events_[next_++];
    return true;
  }
  void Rewind() { next_ = 0; }

 private:
  std::vector<TraceEvent> events_;
  size_t next_ = 0;
};

}  // namespace kvla

#endif  // KVLA_RESULTS_TRACE_REPLAY_H_
