// SPDX-License-Identifier: Apache-2.0
#include "results/trace/trace.h"

#include <utility>

#include "base/text.h"

namespace kvla {

std::string ToString(const EpisodeId& id) {
  return id.arm + " " + id.task + (id.delay.empty() ? "" : "/" + id.delay) + " seed " +
         std::to_string(id.seed);
}

void EpisodeRecorder::On(const TraceEvent& event) {
  if (const auto* begin = std::get_if<EpisodeBegin>(&event)) {
    record_ = {};
    record_.begin = *begin;
    complete_ = false;
  } else if (const auto* inference = std::get_if<InferenceEvent>(&event)) {
    record_.inferences.push_back(*inference);
    record_.inferences.back().images.clear();
    record_.inferences.back().attention.clear();
  } else if (const auto* step = std::get_if<StepEvent>(&event)) {
    record_.steps.push_back(*step);
  } else if (const auto* command = std::get_if<CommandEvent>(&event)) {
    record_.commands.push_back(*command);
  } else {
    record_.end = std::get<EpisodeEnd>(event);
    complete_ = true;
  }
}

EpisodeRecord EpisodeRecorder::Take() {
  complete_ = false;
  return std::exchange(record_, {});
}

Result<TraceLevel> ParseTraceLevel(const std::string& name) {
  if (name == "off") return TraceLevel::kOff;
  if (name == "summary") return TraceLevel::kSummary;
  if (name == "full") return TraceLevel::kFull;
  return BadInput("no trace level '" + name + "': one of [off, summary, full]" +
                  DidYouMean(name, {"off", "summary", "full"}));
}

}  // namespace kvla
