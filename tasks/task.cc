// SPDX-License-Identifier: Apache-2.0
#include "tasks/task.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace kvla {
namespace {

constexpr std::string_view kTargetMark = "{target}";

std::string NameTarget(std::string text, const std::vector<std::string>& names, int target) {
  const size_t at = text.find(kTargetMark);
  if (at != std::string::npos) {
    text.replace(at, kTargetMark.size(), names.at(static_cast<size_t>(target)));
  }
  return text;
}

}  // namespace

Result<Phrasing> ParsePhrasing(const std::string& name) {
  if (name == "canonical") return Phrasing::kCanonical;
  if (name == "seen") return Phrasing::kSeen;
  if (name == "held_out") return Phrasing::kHeldOut;
  if (name == "swapped") return Phrasing::kSwapped;
  return BadInput(fmt::format("unknown instructions '{}'{}", name,
                              DidYouMean(name, {"canonical", "seen", "held_out", "swapped"})));
}

void TaskInfo::SetInstructions(std::vector<std::string> seen, std::vector<std::string> held_out) {
  instruction = seen.front();
  instructions = std::move(seen);
  held_out_instructions = std::move(held_out);
}

Result<std::string> InstructionOf(const TaskInfo& info, const Scenario& scenario,
                                  Phrasing phrasing) {
  // Streams of their own: wording changes nothing else of an episode.
  Rng rng(scenario.Key(), "instruction");
  int target = scenario.target;
  const std::vector<std::string>* texts = &info.instructions;
  switch (phrasing) {
    case Phrasing::kCanonical:
      return NameTarget(info.instruction, info.target_names, target);
    case Phrasing::kSeen:
      break;
    case Phrasing::kHeldOut:
      texts = &info.held_out_instructions;
      break;
    case Phrasing::kSwapped: {
      const int n = static_cast<int>(info.target_names.size());
      if (n < 2) {
        return BadInput(
            fmt::format("the instructions of '{}' name no target: nothing to swap", info.name));
      }
      target = (target + 1 + rng.UniformInt(n - 1)) % n;
      return NameTarget(info.instruction, info.target_names, target);
    }
  }
  if (texts->empty()) {
    return BadInput(fmt::format("task '{}' has no such paraphrases of its instruction", info.name));
  }
  const int which = rng.UniformInt(static_cast<int>(texts->size()));
  return NameTarget((*texts)[static_cast<size_t>(which)], info.target_names, target);
}

double Scenario::OnsetSeconds() const { return cues.empty() ? -1 : cues.front().begin_s; }

double Scenario::WaitSeconds() const {
  if (cues.empty() || decision_s < 0) return -1;
  double last = 0;
  for (const CueInterval& cue : cues) {
    if (cue.begin_s < decision_s) last = std::max(last, cue.end_s);
  }
  return decision_s - last;
}

double Progress::Fraction() const {
  if (reached.empty()) return 0;
  return static_cast<double>(std::count(reached.begin(), reached.end(), true)) /
         static_cast<double>(reached.size());
}

}  // namespace kvla
