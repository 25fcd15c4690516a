// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <imgui.h>
#include <imgui_internal.h>
#include <implot.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "viewer/panels/panels.h"
#include "viewer/panels/plot_tools.h"
#include "viewer/theme.h"

namespace kvla {
namespace {

constexpr ChunkAction kStates[] = {ChunkAction::kWhole, ChunkAction::kCompressed,
                                   ChunkAction::kDropped};
constexpr ImPlotMarker kMarkers[] = {ImPlotMarker_Circle, ImPlotMarker_Square, ImPlotMarker_Cross};

struct ScoreAxis {
  double low = 0, high = 1;
  bool operator==(const ScoreAxis&) const = default;
};

// [0, 1], or what there is and the threshold.
ScoreAxis AxisOf(const Side& side, std::optional<double> threshold) {
  if (side.method.unit_scores) return {};
  double low = std::numeric_limits<double>::infinity(), high = -low;
  const auto take = [&](double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  };
  for (const ChunkTrack& chunk : side.model.chunks()) {
    for (const ChunkEvent& event : chunk.events) take(event.decision.score);
  }
  if (threshold.has_value()) take(*threshold);
  if (low > high) return {};
  if (low == high) return {low - 0.5, high + 0.5};
  return {low, high};
}

void SetupScoreAxis(ImAxis axis, const ScoreAxis& of, const std::string& label) {
  ImPlot::SetupAxis(axis, label.c_str(), axis == ImAxis_Y1 ? 0 : ImPlotAxisFlags_Opposite);
  ImPlot::SetupAxisFormat(axis, "%.3g");
  const double margin = 0.05 * (of.high - of.low);
  ImPlot::SetupAxisLimits(axis, of.low - margin, of.high + margin, ImPlotCond_Always);
  const double ticks[] = {of.low, (of.low + of.high) / 2, of.high};
  ImPlot::SetupAxisTicks(axis, ticks, 3);
}

// Of one side: a marker a chunk by what became of it, hollow for the side that is not chosen.
// False: nothing has left the window yet.
bool DrawSide(const PanelContext& context, const Side& side, bool hollow) {
  const std::optional<double> threshold = context.method(side).threshold;
  const std::string& arm = side.model.begin().id.arm;
  if (threshold.has_value()) {
    ImPlotSpec spec = LineSpec(colour::kOrange, 1.5f);
    spec.Flags = ImPlotInfLinesFlags_Horizontal;
    ImPlot::PlotInfLines(("threshold of " + arm).c_str(), &*threshold, 1, spec);
    if (!hollow) ImPlot::TagY(*threshold, AsVec4(colour::kOrange), "%.2f", *threshold);
  }
  const int now = context.inference(side.model);
  bool any = false;
  for (size_t s = 0; s < std::size(kStates); ++s) {
    std::vector<double> xs, ys;
    for (const ChunkTrack& chunk : side.model.chunks()) {
      const ChunkEvent* event = chunk.DecisionAt(now);
      if (event == nullptr || event->decision.action != kStates[s]) continue;
      xs.push_back((chunk.begin_s + chunk.end_s) / 2);
      ys.push_back(event->decision.score);
      if (chunk.cue) {
        const ImVec2 at = ImPlot::PlotToPixels(xs.back(), ys.back());
        ImPlot::GetPlotDrawList()->AddCircle(at, 9, kCueColour, 0, 2.5f);
      }
    }
    any = any || !xs.empty();
    ImPlotSpec spec;
    spec.Marker = kMarkers[s];
    spec.MarkerSize = hollow ? 6.0f : 4.5f;
    spec.LineColor = AsVec4(StateColour(kStates[s]));
    spec.MarkerLineColor = spec.LineColor;
    spec.MarkerFillColor = hollow ? ImVec4(0, 0, 0, 0) : spec.LineColor;
    spec.LineWeight = 2;
    ImPlot::PlotScatter(fmt::format("{} {}", arm, StateName(kStates[s])).c_str(), xs.data(),
                        ys.data(), static_cast<int>(xs.size()), spec);
  }
  return any;
}

}  // namespace

void DrawScores(PanelContext& context, double lead_s) {
  std::vector<const Side*> sides;  // the chosen one first, if it has scores
  for (const Side& side : context.sides) {
    if (side.method.scores) sides.push_back(&side);
  }
  std::ranges::stable_partition(sides, [&](const Side* s) { return s == &context.side(); });
  if (!ImPlot::BeginPlot("##scores", ImVec2(-1, -1), kTimePlotFlags | ImPlotFlags_NoLegend)) {
    return;
  }
  SetupTimeAxis(context, "episode time of the chunk's frames [s]", 0, lead_s);
  std::vector<ScoreAxis> axes;
  for (const Side* side : sides) axes.push_back(AxisOf(*side, context.method(*side).threshold));
  // Scores of different kinds have an axis each.
  const bool apart = axes.size() > 1 && axes[0] != axes[1];
  SetupScoreAxis(ImAxis_Y1, axes[0], apart ? sides[0]->model.begin().id.arm : "score");
  if (apart) SetupScoreAxis(ImAxis_Y2, axes[1], sides[1]->model.begin().id.arm);
  ImPlot::SetupFinish();
  DrawMoments(context, context.model());
  bool any = false;
  for (size_t i = 0; i < sides.size(); ++i) {
    ImPlot::SetAxes(ImAxis_X1, i == 1 && apart ? ImAxis_Y2 : ImAxis_Y1);
    any = DrawSide(context, *sides[i], i == 1) || any;
  }
  ImPlot::SetAxes(ImAxis_X1, ImAxis_Y1);
  if (!any) {
    ImPlot::PlotText("no scores yet: no chunk has left the window", context.axis_end_s() / 2,
                     axes[0].low + 0.75 * (axes[0].high - axes[0].low));
  } else if (sides.size() > 1) {
    const std::string text = fmt::format("filled: {}, hollow: {}", sides[0]->model.begin().id.arm,
                                         sides[1]->model.begin().id.arm);
    const ImVec2 corner = ImPlot::GetPlotPos(), size = ImPlot::GetPlotSize();
    ImPlot::GetPlotDrawList()->AddText(
        ImVec2(corner.x + size.x - ImGui::CalcTextSize(text.c_str()).x - 6, corner.y + 2),
        ImGui::GetColorU32(ImGuiCol_TextDisabled), text.c_str());
  }
  SeekByClick(context);
  ImPlot::EndPlot();
  context.Mark("scores");
}

}  // namespace kvla
