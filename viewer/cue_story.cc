// SPDX-License-Identifier: Apache-2.0
#include "viewer/cue_story.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "viewer/theme.h"

namespace kvla {
namespace {

std::string FateText(const EpisodeModel& model, const ChunkTrack& chunk, const ChunkEvent* event,
                     const MethodTraits& method) {
  std::string text =
      fmt::format("chunk {} ({:.1f} to {:.1f} s) ", chunk.index, chunk.begin_s, chunk.end_s);
  if (event == nullptr) return text + "is still in the window";
  text += fmt::format("{} at {:.1f} s (inference {})", StateName(event->decision.action),
                      event->inference * model.replan_period_s(), event->inference);
  if (method.scores) text += fmt::format(", score {:.3f}", event->decision.score);
  if (method.scores && method.threshold.has_value()) {
    text += fmt::format(" {} threshold {:.3f}",
                        event->decision.score < *method.threshold ? "<" : ">=", *method.threshold);
  }
  return fmt::format("{}: {}", text, ReasonText(event->decision.reason));
}

std::string Headline(const EpisodeModel& model, const CueStory& story) {
  if (!story.needs_memory) return "This task needs no memory: the cache should change nothing.";
  if (story.fates.empty()) return "The cue has not been shown yet.";
  const bool summary =
      !story.lost && std::none_of(story.fates.begin(), story.fates.end(), [](const CueFate& fate) {
        return fate.state == ChunkAction::kWhole || fate.state == ChunkAction::kWindow;
      });
  const char* held = story.lost ? "the cue is no longer in the cache"
                     : summary  ? "the cue is in the cache, as a summary"
                                : "the cue is in the cache";
  if (!model.end().has_value()) return fmt::format("So far {}.", held);
  const EpisodeEnd& end = *model.end();
  if (end.outcome == "error") return "The episode ended in an error.";
  if (end.success) {
    return story.lost ? "Right, yet by luck: the cue was no longer in the cache."
                      : "Remembered right: the cue was in the cache.";
  }
  if (!end.decisive_reached) return "Failed before its memory was asked for: a motor stage.";
  if (end.decisive_right) return "Remembered right, then failed a motor stage.";
  return story.lost ? "Failed because the cache had dropped the cue: the policy had to guess."
         : summary  ? "Failed although a summary of the cue was kept: the policy misread it."
                    : "Failed although the cue was kept: the policy misread it.";
}

}  // namespace

CueStory TellCue(const EpisodeModel& model, int inference, const MethodTraits& method) {
  CueStory story;
  story.needs_memory = !model.begin().cues.empty();
  for (const ChunkTrack& chunk : model.chunks()) {
    if (!chunk.cue || chunk.first_block > inference) continue;
    const ChunkEvent* event = chunk.DecisionAt(inference);
    CueFate fate;
    fate.chunk = chunk.index;
    fate.state = chunk.StateAt(inference);
    const int look = event == nullptr ? model.FrameOf(chunk) : event->inference;
    fate.look_s = look * model.replan_period_s();
    fate.text = FateText(model, chunk, event, method);
    story.fates.push_back(std::move(fate));
  }
  story.lost = !story.fates.empty() &&
               std::all_of(story.fates.begin(), story.fates.end(),
                           [](const CueFate& fate) { return fate.state == ChunkAction::kDropped; });
  story.headline = Headline(model, story);
  return story;
}

std::optional<Divergence> FirstDivergence(const EpisodeModel& a, const EpisodeModel& b,
                                          float tolerance) {
  const auto differ = [tolerance](float difference) {
    return tolerance > 0 ? difference >= tolerance : difference > 0;
  };
  const size_t steps = std::min(a.steps().size(), b.steps().size());
  for (size_t i = 0; i < steps; ++i) {
    const StepPoint &x = a.steps()[i], &y = b.steps()[i];
    if (x.control_step != y.control_step) return std::nullopt;  // traces with gaps
    float difference = 0;
    for (size_t k = 0; k < x.action.size(); ++k) {
      difference = std::max(difference, std::abs(x.action[k] - y.action[k]));
    }
    if (differ(difference)) {
      return Divergence{x.control_step * a.control_period_s(), x.control_step, difference};
    }
  }
  if (steps > 0) return std::nullopt;
  const size_t inferences = std::min(a.inferences().size(), b.inferences().size());
  for (size_t i = 0; i < inferences; ++i) {
    const InferencePoint &x = a.inferences()[i], &y = b.inferences()[i];
    float difference = 0;
    for (size_t k = 0; k < std::min(x.action_chunk.size(), y.action_chunk.size()); ++k) {
      difference = std::max(difference, std::abs(x.action_chunk[k] - y.action_chunk[k]));
    }
    if (differ(difference)) {
      return Divergence{x.time_s, static_cast<int>(std::lround(x.time_s / a.control_period_s())),
                        difference};
    }
  }
  return std::nullopt;
}

std::string ChunkTableCsv(const EpisodeModel& model, int inference, const MethodTraits& method) {
  std::string csv =
      "arm,task,delay,seed,chunk,first_frame,last_frame,begin_s,end_s,cue,state,score,"
      "decided_inference,decided_s,reason,tokens,bytes\n";
  const EpisodeId& id = model.begin().id;
  for (const ChunkTrack& chunk : model.chunks()) {
    if (chunk.first_block > inference) break;
    const ChunkEvent* event = chunk.DecisionAt(inference);
    const bool decided = event != nullptr;
    std::string why(decided ? ReasonText(event->decision.reason) : "");
    std::replace(why.begin(), why.end(), ',', ';');
    csv += fmt::format(
        "{},{},{},{},{},{},{},{:.3f},{:.3f},{},{},{},{},{},{},{},{:.0f}\n", id.arm, id.task,
        id.delay, id.seed, chunk.index, chunk.first_block, chunk.last_block, chunk.begin_s,
        chunk.end_s, chunk.cue ? 1 : 0, StateName(chunk.StateAt(inference)),
        decided && method.scores ? fmt::format("{:.6f}", event->decision.score) : "",
        decided ? fmt::format("{}", event->inference) : "",
        decided ? fmt::format("{:.3f}", event->inference * model.replan_period_s()) : "", why,
        model.TokensOf(chunk, inference), model.BytesOf(chunk, inference));
  }
  return csv;
}

}  // namespace kvla
