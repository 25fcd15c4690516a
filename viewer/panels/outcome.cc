// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <imgui.h>

#include <cmath>

#include "viewer/panels/panels.h"
#include "viewer/panels/plot_tools.h"
#include "viewer/theme.h"

namespace kvla {
namespace {

void Row(const char* name, const std::string& value) {
  ImGui::TableNextRow();
  ImGui::TableNextColumn();
  ImGui::TextDisabled("%s", name);
  ImGui::TableNextColumn();
  ImGui::TextWrapped("%s", value.c_str());
}

// What a person did to the episode, a drag of the mouse as one line.
void DrawInterventions(const EpisodeModel& model) {
  const CommandEvent* before = nullptr;
  for (const CommandEvent& command : model.commands()) {
    const bool hand = command.name == "pull" || command.name == "turn";
    const bool goes_on = hand && before != nullptr && before->name == command.name;
    before = &command;
    if (goes_on || command.name == "resume" || command.name == "release") continue;
    const std::string what =
        command.text.empty() ? command.name : command.name + " = " + command.text;
    ImGui::BulletText(
        "%s", fmt::format("{} at {:.2f} s", what, command.control_step * model.control_period_s())
                  .c_str());
  }
}

void DrawVerdict(const EpisodeModel& model) {
  if (!model.end().has_value()) {
    ImGui::TextColored(AsText(colour::kSkyBlue), "RUNNING");
    return;
  }
  const EpisodeEnd& end = *model.end();
  if (end.outcome == "error") {
    ImGui::TextColored(AsText(colour::kYellow), "ERROR");
    ImGui::TextWrapped("%s", end.error.c_str());
    return;
  }
  ImGui::TextColored(AsText(end.success ? colour::kGreen : colour::kVermilion), "%s",
                     end.success ? "SUCCESS" : "FAILURE");
  ImGui::SameLine();
  ImGui::TextWrapped(
      "%s", fmt::format("{} steps, {:.0f}% of the stages", end.steps, 100 * end.progress).c_str());
  if (!end.comparable) {
    ImGui::TextColored(AsText(colour::kYellow), "not comparable: a person intervened");
    DrawInterventions(model);
  }
}

// What became of the cue; a click goes to the moment when it was decided.
void DrawStory(PanelContext& context, const Side& side, size_t index) {
  const CueStory story = context.story(side);
  ImGui::TextWrapped("%s", story.headline.c_str());
  context.Mark(index == 0 ? "story" : "story 2");
  if (!story.needs_memory) return;
  int shown = 0;
  for (const CueFate& fate : story.fates) {
    ImGui::PushID(static_cast<int>(index) * 1000 + fate.chunk);
    ImGui::PushStyleColor(ImGuiCol_Text, ImGui::GetStyleColorVec4(ImGuiCol_TextLink));
    ImGui::TextWrapped("%s", fate.text.c_str());
    ImGui::PopStyleColor();
    if (shown++ == 0) context.Mark(index == 0 ? "fate" : "fate 2");
    ImGui::SetItemTooltip("Click to look at that moment");
    if (ImGui::IsItemClicked()) {
      if (!context.feed.live()) context.state.paused = true;
      context.Seek(fate.look_s);
    }
    ImGui::PopID();
  }
}

// When each side reached the stages, as of the playhead.
void DrawStages(const PanelContext& context) {
  const int columns = 1 + static_cast<int>(context.sides.size());
  if (!ImGui::BeginTable("stages", columns, ImGuiTableFlags_SizingFixedFit)) return;
  const double now = context.playhead_s() + 1e-9;
  const auto& stages = context.sides.front().model.stages();
  for (size_t s = 0; s < stages.size(); ++s) {
    ImGui::TableNextRow();
    ImGui::TableNextColumn();
    ImGui::TextUnformatted(fmt::format("{} {}{}", s + 1, stages[s].stage.name,
                                       stages[s].stage.decisive ? " (memory)" : "")
                               .c_str());
    for (size_t i = 0; i < context.sides.size(); ++i) {
      ImGui::TableNextColumn();
      const auto& marks = context.sides[i].model.stages();
      const bool reached =
          s < marks.size() && marks[s].reached_s.has_value() && *marks[s].reached_s <= now;
      if (!reached) {
        ImGui::TextDisabled("not yet");
      } else if (context.sides.size() > 1) {
        ImGui::TextColored(AsText(SideColour(i)), "%.2f s", *marks[s].reached_s);
      } else {
        ImGui::Text("%.2f s", *marks[s].reached_s);
      }
    }
  }
  ImGui::EndTable();
}

void DrawFacts(PanelContext& context, const EpisodeModel& model) {
  if (!ImGui::BeginTable("facts", 2, ImGuiTableFlags_SizingFixedFit)) return;
  ImGui::TableSetupColumn("name");
  ImGui::TableSetupColumn("value", ImGuiTableColumnFlags_WidthStretch);
  const EpisodeBegin& begin = model.begin();
  const std::string delay = begin.id.delay.empty() ? "" : ", delay " + begin.id.delay;
  Row("arm", begin.id.arm == begin.cache_policy
                 ? begin.id.arm
                 : fmt::format("{} (method {})", begin.id.arm, begin.cache_policy));
  Row("cache",
      fmt::format("chunks of {}, window of {} frames", begin.chunk_blocks, begin.window_blocks));
  Row("task", begin.id.task + delay);
  Row("seed",
      fmt::format("{} of run seed {}, {} split", begin.id.seed, begin.run_seed, begin.split));
  Row("horizon", fmt::format("{} control steps", begin.horizon_steps));
  if (const InferencePoint* point = model.InferenceAt(context.playhead_s())) {
    Row("inference", fmt::format("{}: {:.1f} ms, {:.1f} MFLOP", point->index,
                                 point->cost.latency.total_ms(), point->cost.flops / 1e6));
  }
  ImGui::EndTable();
}

}  // namespace

void DrawOutcome(PanelContext& context) {
  if (!BeginPanel(context, kOutcomeWindow)) {
    ImGui::End();
    return;
  }
  if (!context.model().started()) {
    ImGui::TextDisabled("waiting for an episode: the policy is being loaded");
    ImGui::End();
    return;
  }
  ImGui::TextWrapped("\"%s\"", context.model().begin().instruction.c_str());
  for (size_t i = 0; i < context.sides.size(); ++i) {
    const Side& side = context.sides[i];
    ImGui::Separator();
    if (context.sides.size() > 1) {
      ImGui::TextColored(AsText(SideColour(i)), "%s", side.model.begin().id.arm.c_str());
      ImGui::SameLine();
    }
    DrawVerdict(side.model);
    DrawStory(context, side, i);
    for (const std::string& warning : side.model.begin().warnings) {
      ImGui::PushTextWrapPos();
      ImGui::TextColored(AsText(colour::kYellow), "Warning: %s", warning.c_str());
      ImGui::PopTextWrapPos();
    }
  }
  ImGui::Separator();
  DrawStages(context);
  ImGui::Separator();
  DrawFacts(context, context.model());
  ImGui::End();
}

}  // namespace kvla
