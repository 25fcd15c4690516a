// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <imgui.h>
#include <implot.h>

#include <algorithm>
#include <vector>

#include "viewer/panels/panels.h"
#include "viewer/panels/plot_tools.h"
#include "viewer/theme.h"

namespace kvla {
namespace {

constexpr const char* kAxes[] = {"x", "y", "z"};
constexpr ImU32 kAxisColours[] = {colour::kVermilion, colour::kGreen, colour::kSkyBlue};
constexpr double kHalfWidth = 1.5;  // seconds on either side of the playhead
constexpr size_t kTargetNumbers = 7;

// Executed: the steps of the control loop. Planned: how far the action chunk under the playhead
// wants the gripper to move at each of its steps, in the same unit (1: as far as one step can go).
void DrawMotion(PanelContext& context, const Side& side, double full_step_m) {
  const EpisodeModel& model = side.model;
  const double now = context.playhead_s(), period = model.control_period_s();
  if (!ImPlot::BeginPlot("##actions", ImVec2(-1, -1), kTimePlotFlags)) return;
  ImPlot::SetupAxis(ImAxis_X1, "episode time [s]");
  ImPlot::SetupAxis(ImAxis_Y1, "step, share of full");
  ImPlot::SetupAxisLimits(ImAxis_X1, now - kHalfWidth, now + kHalfWidth, ImPlotCond_Always);
  ImPlot::SetupAxisLimits(ImAxis_Y1, -1.1, 1.1, ImPlotCond_Always);
  ImPlot::SetupLegend(ImPlotLocation_NorthWest, ImPlotLegendFlags_Horizontal);
  std::vector<double> time;
  std::array<std::vector<double>, 3> value;
  for (const StepPoint& step : model.steps()) {
    const double at = step.control_step * period;
    if (at < now - kHalfWidth - 1 || at > now + kHalfWidth + 1) continue;
    time.push_back(at);
    for (int i = 0; i < 3; ++i) value[i].push_back(step.action[i]);
  }
  for (int i = 0; i < 3; ++i) {
    ImPlot::PlotStairs(kAxes[i], time.data(), value[i].data(), static_cast<int>(time.size()),
                       LineSpec(kAxisColours[i], 2));
  }
  const InferencePoint* point = model.InferenceAt(now);
  if (point != nullptr && point->action_chunk.size() >= kTargetNumbers) {
    const size_t steps = point->action_chunk.size() / kTargetNumbers;
    for (size_t i = 0; i < 3; ++i) {
      std::vector<double> at, planned;
      double before = 0;
      for (size_t k = 0; k < steps; ++k) {
        const double target = point->action_chunk[k * kTargetNumbers + i];
        at.push_back(point->time_s + (static_cast<double>(k) + 0.5) * period);
        planned.push_back(std::clamp((target - before) / full_step_m, -1.0, 1.0));
        before = target;
      }
      ImPlotSpec spec = LineSpec(kAxisColours[i], 1);
      spec.Marker = ImPlotMarker_Circle;
      spec.MarkerSize = 4;
      spec.MarkerFillColor = spec.LineColor;
      spec.Flags = ImPlotItemFlags_NoLegend;
      ImPlot::PlotScatter(fmt::format("##planned{}", i).c_str(), at.data(), planned.data(),
                          static_cast<int>(at.size()), spec);
    }
  }
  DrawMoments(context, model);
  ImPlot::EndPlot();
}

}  // namespace

void DrawActions(PanelContext& context) {
  if (!BeginPanel(context, kActionsWindow)) {
    ImGui::End();
    return;
  }
  const Side& side = context.side();
  const StepPoint* step = side.model.StepAt(context.playhead_s());
  if (step == nullptr) {
    ImGui::TextDisabled("%s", side.model.end().has_value() && side.model.steps().empty()
                                  ? "no actions in this run (trace: full stores them)"
                                  : "no action yet");
  } else {
    ImGui::TextWrapped(
        "%s", fmt::format("{}: lines: executed; dots: the action chunk's plan. Gripper "
                          "{}.",
                          side.model.begin().id.arm, step->action[6] > 0 ? "closes" : "opens")
                  .c_str());
    DrawMotion(context, side, kMaxDeltaPosition);
  }
  context.Mark("actions");
  ImGui::End();
}

}  // namespace kvla
