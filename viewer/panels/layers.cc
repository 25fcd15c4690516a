// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <imgui.h>
#include <implot.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "viewer/panels/panels.h"
#include "viewer/panels/plot_tools.h"
#include "viewer/theme.h"

namespace kvla {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

// Rows from the top: layers; columns: chunks. NaN: nothing to show there.
struct LayerMap {
  int layers = 0, chunks = 0;
  std::vector<double> values;
  double low = 0, top = 1;  // of the colours

  double Share(double value) const { return (value - low) / (top - low); }
};

LayerMap AttentionMap(const EpisodeModel& model, const InferencePoint& point) {
  LayerMap map;
  map.layers = model.AttentionLayers(point);
  map.chunks = point.index / model.begin().chunk_blocks + 1;
  map.top = 1e-3;
  for (int l = 0; l < map.layers; ++l) {
    for (int c = 0; c < map.chunks; ++c) {
      const bool there = model.chunks()[c].StateAt(point.index) != ChunkAction::kDropped;
      const double share = there ? model.AttentionOf(point, c, l) : -1;
      map.values.push_back(share < 0 ? kNothing : share);
      map.top = std::max(map.top, share);
    }
  }
  return map;
}

// The methods there are decide for all layers at once, so that every row says the same.
LayerMap ScoreMap(const Side& side, const InferencePoint& point, int layers) {
  const EpisodeModel& model = side.model;
  LayerMap map;
  map.layers = std::max({1, layers, model.AttentionLayers(point)});
  map.chunks = point.index / model.begin().chunk_blocks + 1;
  for (int l = 0; l < map.layers; ++l) {
    for (int c = 0; c < map.chunks; ++c) {
      const ChunkEvent* event = model.chunks()[c].DecisionAt(point.index);
      const bool scored = event != nullptr && side.method.scores;
      map.values.push_back(scored ? event->decision.score : kNothing);
    }
  }
  if (side.method.unit_scores) return map;
  double low = std::numeric_limits<double>::infinity(), top = -low;
  for (const double value : map.values) {
    if (std::isnan(value)) continue;
    low = std::min(low, value);
    top = std::max(top, value);
  }
  if (low < top) map.low = low, map.top = top;
  if (low == top) map.low = low - 0.5, map.top = top + 0.5;
  return map;
}

ImU32 ShadeOf(double share) {
  const ImVec4 c = ImPlot::SampleColormap(static_cast<float>(std::clamp(share, 0.0, 1.0)),
                                          ImPlotColormap_Viridis);
  return ImGui::ColorConvertFloat4ToU32(c);
}

// The colours' scale, right of a map.
void DrawScale(const LayerMap& map, bool scores, std::optional<double> threshold) {
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float height = std::max(20.0f, ImGui::GetContentRegionAvail().y - 20);
  constexpr float kWidth = 14;
  constexpr int kBands = 24;
  for (int i = 0; i < kBands; ++i) {
    const float y0 = at.y + 10 + height * static_cast<float>(i) / kBands;
    const double value = 1 - (i + 0.5) / kBands;
    draw->AddRectFilled(ImVec2(at.x, y0), ImVec2(at.x + kWidth, y0 + height / kBands + 1),
                        ShadeOf(value));
  }
  const float line = ImGui::GetTextLineHeight();
  const auto label = [&](double share, const std::string& text, ImU32 colour) {
    const float y = at.y + 10 + height * static_cast<float>(1 - share);
    draw->AddText(ImVec2(at.x + kWidth + 4, y - line / 2), colour, text.c_str());
    return y;
  };
  const ImU32 plain = ImGui::GetColorU32(ImGuiCol_Text);
  label(0, scores ? fmt::format("{:.3g}", map.low) : "0", plain);
  label(1, scores ? fmt::format("{:.3g}", map.top) : fmt::format("{:.1f}%", 100 * map.top), plain);
  if (scores && threshold.has_value()) {
    const float y =
        label(map.Share(*threshold), fmt::format("{:.2f}", *threshold), colour::kOrange);
    draw->AddLine(ImVec2(at.x - 2, y), ImVec2(at.x + kWidth + 2, y), colour::kOrange, 2.5f);
  }
}

void DrawMap(PanelContext& context, const Side& side, const LayerMap& map, bool scores) {
  const EpisodeModel& model = side.model;
  const float bar = ImGui::CalcTextSize("000.0%___").x;
  const float width = ImGui::GetContentRegionAvail().x - bar;
  const char* name = scores ? "##score map" : "##attention map";
  if (!ImPlot::BeginPlot(name, ImVec2(width, -1), kTimePlotFlags | ImPlotFlags_NoLegend)) return;
  SetupTimeAxis(context, "time of the chunk's frames [s]", 0);
  ImPlot::SetupAxis(ImAxis_Y1, "layer", ImPlotAxisFlags_NoGridLines | ImPlotAxisFlags_Invert);
  ImPlot::SetupAxisLimits(ImAxis_Y1, -0.5, map.layers - 0.5, ImPlotCond_Always);
  ImPlot::SetupAxisTicks(ImAxis_Y1, 0, std::max(1, map.layers) - 1, std::max(2, map.layers));
  ImPlot::SetupAxisFormat(ImAxis_Y1, "%.0f");
  ImPlot::SetupFinish();
  DrawMoments(context, model);  // under the cells
  ImDrawList* draw = ImPlot::GetPlotDrawList();
  const std::optional<double> threshold = context.method(side).threshold;
  const ImPlotPoint mouse = ImPlot::GetPlotMousePos();
  std::string tip;
  ImPlot::PushPlotClipRect();
  for (int l = 0; l < map.layers; ++l) {
    for (int c = 0; c < map.chunks; ++c) {
      const ChunkTrack& chunk = model.chunks()[c];
      const double value = map.values[static_cast<size_t>(l) * map.chunks + c];
      const ImVec2 low = ImPlot::PlotToPixels(chunk.begin_s, l - 0.46);
      const ImVec2 high = ImPlot::PlotToPixels(chunk.end_s, l + 0.46);
      const ImVec2 from(low.x + 1, std::min(low.y, high.y)),
          to(high.x - 1, std::max(low.y, high.y));
      if (!std::isnan(value)) draw->AddRectFilled(from, to, ShadeOf(map.Share(value)));
      if (scores && threshold.has_value() && value >= *threshold) {
        draw->AddRect(from, to, ImGui::GetColorU32(ImGuiCol_Text), 0, 2);
      }
      if (chunk.cue) {
        draw->AddLine(ImVec2(from.x, to.y + 1), ImVec2(to.x, to.y + 1), kCueColour, 3);
      }
      const bool under = ImPlot::IsPlotHovered() && mouse.x >= chunk.begin_s &&
                         mouse.x < chunk.end_s && std::abs(mouse.y - l) < 0.5;
      if (under && !std::isnan(value)) {
        tip = fmt::format("chunk {}{}, layer {}: {}", c, chunk.cue ? " (saw the cue)" : "", l,
                          scores ? fmt::format("score {:.3f}", value)
                                 : fmt::format("{:.2f}% of the attention", 100 * value));
      }
    }
  }
  const float x = ImPlot::PlotToPixels(context.playhead_s(), 0).x;
  const float y = ImPlot::GetPlotPos().y;
  draw->AddLine(ImVec2(x, y), ImVec2(x, y + ImPlot::GetPlotSize().y),
                ImGui::GetColorU32(ImGuiCol_Text), 1.5f);
  ImPlot::PopPlotClipRect();
  SeekByClick(context);
  ImPlot::EndPlot();
  context.Mark(scores ? "score map" : "attention map");
  if (!tip.empty()) ImGui::SetTooltip("%s", tip.c_str());
  ImGui::SameLine(0, 6);
  DrawScale(map, scores, threshold);
}

void DrawScoreMap(PanelContext& context, const Side& side, const InferencePoint& point) {
  const LayerMap map = ScoreMap(side, point, context.hooks.layers);
  const std::string& arm = side.model.begin().id.arm;
  const bool any =
      std::any_of(map.values.begin(), map.values.end(), [](double v) { return !std::isnan(v); });
  if (!any) {
    ImGui::TextDisabled(
        "%s: %s", arm.c_str(),
        side.method.scores ? "no chunk has been scored yet" : "this method decides without scores");
    return;
  }
  ImGui::TextUnformatted(
      fmt::format("{}: scores, one for all layers{}", arm,
                  side.method.threshold ? "; framed: at the threshold or above" : "")
          .c_str());
  DrawMap(context, side, map, true);
}

void DrawAttentionMap(PanelContext& context, const Side& side, const InferencePoint& point) {
  const LayerMap map = AttentionMap(side.model, point);
  const std::string& arm = side.model.begin().id.arm;
  if (map.layers == 0) {
    ImGui::TextWrapped(
        "Attention received: measured in live episodes only (kvla view CONFIG), since "
        "measuring it takes time that a run's latencies must not hold.");
    return;
  }
  ImGui::TextUnformatted(fmt::format("{}: attention received at inference {}; {:.1f}% goes to the "
                                     "instruction",
                                     arm, point.index, 100 * side.model.AttentionOf(point, -1))
                             .c_str());
  DrawMap(context, side, map, false);
}

}  // namespace

void DrawLayers(PanelContext& context) {
  if (!BeginPanel(context, kLayersWindow)) {
    ImGui::End();
    return;
  }
  const Side& side = context.side();
  const InferencePoint* point = side.model.InferenceAt(context.playhead_s());
  if (point == nullptr) {
    ImGui::TextDisabled("no inference yet");
    ImGui::End();
    return;
  }
  const float half = (ImGui::GetContentRegionAvail().x - ImGui::GetStyle().ItemSpacing.x) / 2;
  if (ImGui::BeginChild("scores", ImVec2(half, 0))) DrawScoreMap(context, side, *point);
  ImGui::EndChild();
  ImGui::SameLine();
  if (ImGui::BeginChild("attention")) DrawAttentionMap(context, side, *point);
  ImGui::EndChild();
  ImGui::End();
}

}  // namespace kvla
