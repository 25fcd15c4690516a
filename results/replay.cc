#include "results/replay.h"

namespace kvla {

std::vector<TraceEvent> EventsOf(const EpisodeRecord& record) {
  std::vector<TraceEvent> events;
  events.reserve(record.inferences.size() + record.steps.size() + 2);
  events.emplace_back(record.begin);
  size_t step = 0;
  for (const InferenceEvent& inference : record.inferences) {
    while (step < record.steps.size() && record.steps[step].control_step < inference.control_step) {
      events.emplace_back(record.steps[step++]);
    }
    events.emplace_back(inference);
  }
  while (step < record.steps.size()) events.emplace_back(record.steps[step++]);
  events.emplace_back(record.end);
  return events;
}

}  // namespace kvla
