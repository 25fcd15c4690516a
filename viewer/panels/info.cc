#include <fmt/format.h>
#include <imgui.h>

#include <cmath>

#include "viewer/panels/panels.h"
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

// A part of an action, each number in [-1, 1]; no negative zero.
std::string Triple(float x, float y, float z) {
  const auto hundredth = [](float v) { return std::round(100 * v) / 100 + 0.0f; };
  return fmt::format("{:+.2f} {:+.2f} {:+.2f}", hundredth(x), hundredth(y), hundredth(z));
}

void DrawOutcome(const EpisodeModel& model) {
  if (!model.end().has_value()) {
    ImGui::TextColored(AsVec4(colour::kSkyBlue), "RUNNING");
    return;
  }
  const EpisodeEnd& end = *model.end();
  if (end.outcome == "error") {
    ImGui::TextColored(AsVec4(colour::kYellow), "ERROR");
    ImGui::TextWrapped("%s", end.error.c_str());
    return;
  }
  ImGui::TextColored(AsVec4(end.success ? colour::kGreen : colour::kVermilion), "%s",
                     end.success ? "SUCCESS" : "FAILURE");
  ImGui::SameLine();
  const char* decisive = model.begin().chance <= 0 ? "no memory needed"
                         : !end.decisive_reached   ? "memory stage not reached"
                         : end.decisive_right      ? "remembered right"
                                                   : "remembered wrong";
  ImGui::TextWrapped("%s", fmt::format("after {} steps, {:.0f}% of the stages, {}", end.steps,
                                       100 * end.progress, decisive)
                               .c_str());
}

// A stage reached by the playhead is ticked and says when.
void DrawStages(const PanelContext& context) {
  if (!ImGui::BeginTable("stages", 3, ImGuiTableFlags_SizingFixedFit)) return;
  const double now = context.playhead_s() + 1e-9;
  int number = 0;
  for (const StageMark& mark : context.model.stages()) {
    const bool reached = mark.reached_s.has_value() && *mark.reached_s <= now;
    ImGui::TableNextRow();
    ImGui::TableNextColumn();
    ImGui::TextUnformatted(fmt::format("{} {}", reached ? "[x]" : "[ ]", ++number).c_str());
    ImGui::TableNextColumn();
    const std::string name = mark.stage.name + (mark.stage.decisive ? " (needs memory)" : "");
    if (reached) {
      ImGui::TextUnformatted(name.c_str());
    } else {
      ImGui::TextDisabled("%s", name.c_str());
    }
    ImGui::TableNextColumn();
    if (reached) ImGui::TextUnformatted(fmt::format("{:.2f} s", *mark.reached_s).c_str());
  }
  ImGui::EndTable();
}

}  // namespace

void DrawInfo(PanelContext& context) {
  ImGui::Begin(kInfoWindow);
  const EpisodeModel& model = context.model;
  if (!model.started()) {
    ImGui::TextDisabled("waiting for an episode: the policy is being loaded");
    ImGui::End();
    return;
  }
  const EpisodeBegin& begin = model.begin();
  ImGui::TextWrapped("\"%s\"", begin.instruction.c_str());
  DrawOutcome(model);
  for (const std::string& warning : begin.warnings) {
    ImGui::PushTextWrapPos();
    ImGui::TextColored(AsVec4(colour::kYellow), "Warning: %s", warning.c_str());
    ImGui::PopTextWrapPos();
  }
  ImGui::Separator();
  DrawStages(context);
  ImGui::Separator();
  if (ImGui::BeginTable("facts", 2, ImGuiTableFlags_SizingFixedFit)) {
    ImGui::TableSetupColumn("name");
    ImGui::TableSetupColumn("value", ImGuiTableColumnFlags_WidthStretch);
    const std::string delay = begin.id.delay.empty() ? "" : ", delay " + begin.id.delay;
    Row("arm", begin.id.arm == begin.cache_policy
                   ? begin.id.arm
                   : fmt::format("{} (method {})", begin.id.arm, begin.cache_policy));
    Row("task", fmt::format("{}{}", begin.id.task, delay));
    Row("seed",
        fmt::format("{} of run seed {}, {} split", begin.id.seed, begin.run_seed, begin.split));
    Row("control step",
        fmt::format("{:.0f} of at most {}", context.playhead_s() * begin.control_rate_hz,
                    begin.horizon_steps));
    if (const InferencePoint* point = model.InferenceAt(context.playhead_s())) {
      Row("inference", fmt::format("{}: {:.1f} ms, {:.1f} MFLOP", point->index,
                                   point->latency.total_ms(), point->flops / 1e6));
    }
    if (const StepPoint* step = model.StepAt(context.playhead_s())) {
      const auto& a = step->action;
      Row("move", Triple(a[0], a[1], a[2]) + (a[6] > 0 ? ", closes" : ", opens"));
      Row("turn", Triple(a[3], a[4], a[5]));
    }
    if (context.hooks.counts) {
      const BoundedTraceRing::Counts counts = context.hooks.counts();
      Row("not shown",
          fmt::format("{} steps, {} images, {} merged inferences", counts.dropped_steps,
                      counts.dropped_images, counts.merged_inferences));
    }
    ImGui::EndTable();
  }
  ImGui::End();
}

}  // namespace kvla
