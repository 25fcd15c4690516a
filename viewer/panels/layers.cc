#include <fmt/format.h>
#include <imgui.h>
#include <implot.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "viewer/panels/panels.h"
#include "viewer/panels/plot_tools.h"
#include "viewer/theme.h"

namespace kvla {
namespace {

// Rows from the top: layers; columns: chunks. Negative: nothing to show there.
struct LayerMap {
  int layers = 0, chunks = 0;
  std::vector<double> values;
  double top = 1;
};

LayerMap AttentionMap(const EpisodeModel& model, const InferencePoint& point) {
  LayerMap map;
  map.layers = model.AttentionLayers(point);
  map.chunks = point.index / model.begin().chunk_blocks + 1;
  map.top = 1e-3;
  for (int l = 0; l < map.layers; ++l) {
    for (int c = 0; c < map.chunks; ++c) {
      map.values.push_back(model.AttentionOf(point, c, l));
      map.top = std::max(map.top, map.values.back());
    }
  }
  return map;
}

// The methods there are decide for all layers at once, so that every row says the same.
LayerMap ScoreMap(const EpisodeModel& model, const InferencePoint& point) {
  LayerMap map;
  map.layers = std::max(1, model.AttentionLayers(point));
  map.chunks = point.index / model.begin().chunk_blocks + 1;
  for (int l = 0; l < map.layers; ++l) {
    for (int c = 0; c < map.chunks; ++c) {
      const ChunkEvent* decision = model.chunks()[c].DecisionAt(point.index);
      const bool scored = decision != nullptr && decision->score != 0;
      map.values.push_back(scored ? decision->score : -1);
    }
  }
  return map;
}

ImU32 ShadeOf(double value, double top) {
  const ImVec4 c = ImPlot::SampleColormap(static_cast<float>(std::clamp(value / top, 0.0, 1.0)),
                                          ImPlotColormap_Viridis);
  return ImGui::ColorConvertFloat4ToU32(c);
}

void DrawMap(PanelContext& context, const Lane& lane, const LayerMap& map, bool scores) {
  const EpisodeModel& model = lane.model;
  const float bar = ImGui::CalcTextSize("000.0%___").x;
  const float width = ImGui::GetContentRegionAvail().x - bar;
  if (!ImPlot::BeginPlot("##layers", ImVec2(width, -1), kTimePlotFlags | ImPlotFlags_NoLegend)) {
    return;
  }
  SetupTimeAxis(context, "episode time of the chunk's frames [s]", 0);
  ImPlot::SetupAxis(ImAxis_Y1, "layer", ImPlotAxisFlags_NoGridLines | ImPlotAxisFlags_Invert);
  ImPlot::SetupAxisLimits(ImAxis_Y1, -0.5, map.layers - 0.5, ImPlotCond_Always);
  ImPlot::SetupAxisTicks(ImAxis_Y1, 0, std::max(1, map.layers) - 1, std::max(2, map.layers));
  ImPlot::SetupAxisFormat(ImAxis_Y1, "%.0f");
  ImPlot::SetupFinish();
  DrawMoments(context, model);  // under the cells
  ImDrawList* draw = ImPlot::GetPlotDrawList();
  const std::optional<double> threshold = context.threshold(lane);
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
      if (value >= 0) draw->AddRectFilled(from, to, ShadeOf(value, map.top));
      if (scores && threshold.has_value() && value >= *threshold) {
        draw->AddRect(from, to, ImGui::GetColorU32(ImGuiCol_Text), 0, 2);
      }
      if (chunk.cue) {
        draw->AddLine(ImVec2(from.x, to.y + 1), ImVec2(to.x, to.y + 1), kCueColour, 3);
      }
      const bool under = ImPlot::IsPlotHovered() && mouse.x >= chunk.begin_s &&
                         mouse.x < chunk.end_s && std::abs(mouse.y - l) < 0.5;
      if (under && value >= 0) {
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
  context.Mark("layers");
  if (!tip.empty()) ImGui::SetTooltip("%s", tip.c_str());
  // The scale.
  ImGui::SameLine(0, 6);
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float height = std::max(20.0f, ImGui::GetContentRegionAvail().y - 20);
  constexpr int kBands = 24;
  for (int i = 0; i < kBands; ++i) {
    const float y0 = at.y + 10 + height * static_cast<float>(i) / kBands;
    const double value = 1 - (i + 0.5) / kBands;
    ImGui::GetWindowDrawList()->AddRectFilled(
        ImVec2(at.x, y0), ImVec2(at.x + 14, y0 + height / kBands + 1), ShadeOf(value, 1));
  }
  const auto label = [&](double share, const std::string& text) {
    ImGui::GetWindowDrawList()->AddText(
        ImVec2(at.x + 18, at.y + 3 + height * static_cast<float>(1 - share)),
        ImGui::GetColorU32(ImGuiCol_Text), text.c_str());
  };
  label(0, "0");
  label(1, scores ? "1.0" : fmt::format("{:.1f}%", 100 * map.top));
}

}  // namespace

void LayersPanel::Draw(PanelContext& context) {
  if (!BeginPanel(context, kLayersWindow)) {
    ImGui::End();
    return;
  }
  const Lane& lane = context.lane();
  const InferencePoint* point = lane.model.InferenceAt(context.playhead_s());
  if (point == nullptr) {
    ImGui::TextDisabled("no inference yet");
    ImGui::End();
    return;
  }
  ImGui::RadioButton("Attention received", &shown_, 0);
  ImGui::SameLine();
  ImGui::RadioButton("Scores", &shown_, 1);
  ImGui::SameLine(0, 20);
  const bool scores = shown_ == 1;
  const LayerMap map = scores ? ScoreMap(lane.model, *point) : AttentionMap(lane.model, *point);
  const std::string& arm = lane.model.begin().id.arm;
  if (map.layers == 0) {
    ImGui::TextDisabled("%s: attention is measured in live episodes (kvla view CONFIG)",
                        arm.c_str());
    ImGui::End();
    return;
  }
  ImGui::TextUnformatted(
      scores ? fmt::format("{}: one score for all layers; framed: at the threshold or above", arm)
                   .c_str()
             : fmt::format("{} at inference {}; {:.1f}% goes to the instruction", arm, point->index,
                           100 * lane.model.AttentionOf(*point, -1))
                   .c_str());
  DrawMap(context, lane, map, scores);
  ImGui::End();
}

}  // namespace kvla
