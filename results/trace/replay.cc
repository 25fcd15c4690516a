// SPDX-License-Identifier: Apache-2.0
#include "results/trace/replay.h"

#include <limits>

namespace kvla {

std::vector<TraceEvent> EventsOf(const EpisodeRecord& record) {
  std::vector<TraceEvent> events;
  events.reserve(record.inferences.size() + record.steps.size() + record.commands.size() + 2);
  events.emplace_back(record.begin);
  size_t step = 0, command = 0;
  // Commands, then the inference, then the step of one control step.
  const auto take_steps = [&](int before) {
    for (; step < record.steps.size() && record.steps[step].control_step < before; ++step) {
      events.emplace_back(record.steps[step]);
    }
  };
  const auto take_commands = [&](int upto) {
    for (; command < record.commands.size() && record.commands[command].control_step <= upto;
         ++command) {
      take_steps(record.commands[command].control_step);
      events.emplace_back(record.commands[command]);
    }
  };
  for (const InferenceEvent& inference : record.inferences) {
    take_commands(inference.control_step);
    take_steps(inference.control_step);
    events.emplace_back(inference);
  }
  take_commands(std::numeric_limits<int>::max());
  take_steps(std::numeric_limits<int>::max());
  events.emplace_back(record.end);
  return events;
}

}  // namespace kvla
