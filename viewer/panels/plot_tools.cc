// SPDX-License-Identifier: Apache-2.0
#include "viewer/panels/plot_tools.h"

#include <imgui_internal.h>

#include <algorithm>

#include "viewer/theme.h"

namespace kvla {

void SetupTimeAxis(const PanelContext& context, const char* label, ImPlotAxisFlags flags,
                   double lead_s) {
  ImPlot::SetupAxis(ImAxis_X1, label, flags);
  ImPlot::SetupAxisLimits(ImAxis_X1, -lead_s, context.axis_end_s(), ImPlotCond_Always);
}

void DrawMoments(const PanelContext& context, const EpisodeModel& model) {
  ImDrawList* draw = ImPlot::GetPlotDrawList();
  const ImVec2 low = ImPlot::GetPlotPos();
  const float bottom = low.y + ImPlot::GetPlotSize().y;
  ImPlot::PushPlotClipRect();
  for (const TraceCue& cue : model.begin().cues) {
    const float x0 = ImPlot::PlotToPixels(cue.begin_s, 0).x;
    const float x1 = ImPlot::PlotToPixels(cue.end_s, 0).x;
    draw->AddRectFilled(ImVec2(x0, low.y), ImVec2(std::max(x1, x0 + 2), bottom),
                        WithAlpha(kCueColour, 70));
  }
  for (const TraceDecoy& decoy : model.begin().decoys) {
    const float x0 = ImPlot::PlotToPixels(decoy.begin_s, 0).x;
    const float x1 = ImPlot::PlotToPixels(decoy.end_s, 0).x;
    DrawDecoyBand(draw, ImVec2(x0, low.y), ImVec2(std::max(x1, x0 + 2), bottom), 70);
  }
  const float x = ImPlot::PlotToPixels(context.playhead_s(), 0).x;
  draw->AddLine(ImVec2(x, low.y), ImVec2(x, bottom), ImGui::GetColorU32(ImGuiCol_Text, 0.7f), 1.5f);
  ImPlot::PopPlotClipRect();
}

void DrawDecoyBand(ImDrawList* draw, ImVec2 low, ImVec2 high, int alpha) {
  constexpr float kApart = 5;  // pixels between two lines
  draw->AddRectFilled(low, high, WithAlpha(kDecoyColour, alpha / 2));
  draw->PushClipRect(low, high, /*intersect_with_current_clip_rect=*/true);
  const float height = high.y - low.y;
  for (float x = low.x - height; x < high.x; x += kApart) {
    draw->AddLine(ImVec2(x, high.y), ImVec2(x + height, low.y), WithAlpha(kDecoyColour, alpha));
  }
  draw->PopClipRect();
}

void SeekByClick(PanelContext& context) {
  if (!ImPlot::IsPlotHovered() || !ImGui::IsMouseDown(ImGuiMouseButton_Left)) return;
  const ImVec2 low = ImPlot::GetPlotPos(), size = ImPlot::GetPlotSize();
  const ImVec2 press = ImGui::GetIO().MouseClickedPos[ImGuiMouseButton_Left];
  if (!ImRect(low, ImVec2(low.x + size.x, low.y + size.y)).Contains(press)) return;
  context.Seek(ImPlot::GetPlotMousePos().x);
}

ImPlotSpec LineSpec(ImU32 colour, float weight) {
  ImPlotSpec spec;
  spec.LineColor = AsVec4(colour);
  spec.LineWeight = weight;
  return spec;
}

ImU32 SideColour(size_t side) { return side == 0 ? colour::kSkyBlue : colour::kOrange; }

}  // namespace kvla
