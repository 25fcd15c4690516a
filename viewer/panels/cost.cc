#include <fmt/format.h>
#include <imgui.h>
#include <implot.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "viewer/panels/panels.h"
#include "viewer/theme.h"

namespace kvla {
namespace {

std::array<double, kLatencyParts> PartsOf(const LatencyParts& l) {
  return {l.render_ms, l.encode_ms, l.linear_ms, l.attend_ms, l.gate_ms, l.compact_ms, l.act_ms};
}

ImPlotSpec LineSpec(ImU32 colour, float weight) {
  ImPlotSpec spec;
  spec.LineColor = AsVec4(colour);
  spec.LineWeight = weight;
  return spec;
}

void PlayheadLine(PanelContext& context) {
  const double at = context.playhead_s();
  ImPlotSpec spec = LineSpec(ImGui::GetColorU32(ImGuiCol_Text, 0.6f), 1);
  spec.Flags = ImPlotItemFlags_NoLegend | ImPlotItemFlags_NoFit;
  ImPlot::PlotInfLines("##playhead", &at, 1, spec);
}

// The plot's legend, with the numbers of the inference under the playhead.
void DrawParts(const InferencePoint& point) {
  const auto parts = PartsOf(point.latency);
  const float size = ImGui::GetTextLineHeight();
  const float column = ImGui::CalcTextSize("compact 00.0 ").x + size + 4;
  const int columns = std::max(1, static_cast<int>(ImGui::GetContentRegionAvail().x / column));
  const float left = ImGui::GetCursorPosX();
  for (int p = 0; p < kLatencyParts; ++p) {
    if (p % columns != 0) ImGui::SameLine(left + column * static_cast<float>(p % columns));
    const ImVec2 at = ImGui::GetCursorScreenPos();
    ImGui::GetWindowDrawList()->AddRectFilled(
        ImVec2(at.x + 1, at.y + 3), ImVec2(at.x + size - 4, at.y + size - 2), kLatencyColours[p]);
    ImGui::Dummy(ImVec2(size, size));
    ImGui::SameLine(0, 2);
    ImGui::TextUnformatted(fmt::format("{} {:.1f}", kLatencyNames[p], parts[p]).c_str());
  }
}

constexpr ImPlotFlags kPlotFlags =
    ImPlotFlags_NoMenus | ImPlotFlags_NoBoxSelect | ImPlotFlags_NoMouseText | ImPlotFlags_NoInputs;

}  // namespace

void DrawLatency(PanelContext& context) {
  if (!ImGui::Begin(kLatencyWindow)) {
    ImGui::End();
    return;
  }
  const EpisodeModel& model = context.model;
  const auto& points = model.inferences();
  const double period_ms = 1000 * model.control_period_s();
  const size_t n = points.size();
  std::vector<double> time(n);
  // Cumulated, so that each part is the band between two curves.
  std::array<std::vector<double>, kLatencyParts + 1> upto;
  for (auto& curve : upto) curve.assign(n, 0);
  for (size_t i = 0; i < n; ++i) {
    time[i] = points[i].time_s;
    const auto parts = PartsOf(points[i].latency);
    for (int p = 0; p < kLatencyParts; ++p) upto[p + 1][i] = upto[p][i] + parts[p];
  }
  if (n > 0) {
    ImGui::TextWrapped("%s", fmt::format("p50 {:.1f}, p95 {:.1f}, max {:.1f} ms; control period "
                                         "{:.0f} ms",
                                         model.LatencyPercentile(50), model.LatencyPercentile(95),
                                         model.LatencyPercentile(100), period_ms)
                                 .c_str());
    const InferencePoint* now = model.InferenceAt(context.playhead_s());
    DrawParts(now == nullptr ? points.front() : *now);
  }
  // Rare spikes may leave the plot (the text above it names the highest), and the control period
  // is in sight where it is not far above the data.
  const double top = std::min(1.15 * model.LatencyPercentile(100), 3 * model.LatencyPercentile(95));
  const double high = std::max({1.0, top, 3 * top > period_ms ? 1.15 * period_ms : 0.0});
  if (ImPlot::BeginPlot("##latency", ImVec2(-1, -1), kPlotFlags | ImPlotFlags_NoLegend)) {
    ImPlot::SetupAxis(ImAxis_X1, "episode time [s]");
    ImPlot::SetupAxis(ImAxis_Y1, "an inference [ms]");
    ImPlot::SetupAxisLimits(ImAxis_X1, 0, context.axis_end_s(), ImPlotCond_Always);
    ImPlot::SetupAxisLimits(ImAxis_Y1, 0, high, ImPlotCond_Always);
    for (int p = 0; p < kLatencyParts; ++p) {
      ImPlotSpec spec;
      spec.FillColor = AsVec4(kLatencyColours[p]);
      spec.LineColor = spec.FillColor;
      spec.FillAlpha = 0.9f;
      ImPlot::PlotShaded(kLatencyNames[p], time.data(), upto[p].data(), upto[p + 1].data(),
                         static_cast<int>(n), spec);
    }
    if (period_ms <= high) {
      ImPlotSpec spec = LineSpec(colour::kOrange, 2);
      spec.Flags = ImPlotInfLinesFlags_Horizontal;
      ImPlot::PlotInfLines("period", &period_ms, 1, spec);
    }
    PlayheadLine(context);
    ImPlot::EndPlot();
  }
  context.Mark("latency");
  ImGui::End();
}

void DrawMemory(PanelContext& context) {
  if (!ImGui::Begin(kMemoryWindow)) {
    ImGui::End();
    return;
  }
  const EpisodeModel& model = context.model;
  const auto& points = model.inferences();
  const size_t n = points.size();
  constexpr double kKib = 1.0 / 1024;
  std::vector<double> time(n), live(n), reserved(n), full(n);
  double top = 1;
  for (size_t i = 0; i < n; ++i) {
    time[i] = points[i].time_s;
    live[i] = kKib * static_cast<double>(points[i].kv_live_bytes);
    reserved[i] = kKib * static_cast<double>(points[i].kv_reserved_bytes);
    full[i] = kKib * model.FullBytesAt(points[i]);
    top = std::max({top, live[i], reserved[i], full[i]});
  }
  if (n > 0) {
    const InferencePoint* now = model.InferenceAt(context.playhead_s());
    if (now == nullptr) now = &points.front();
    const double all = model.FullBytesAt(*now);
    const double share = all > 0 ? 100 * static_cast<double>(now->kv_live_bytes) / all : 100;
    ImGui::TextWrapped("%s", fmt::format("{:.0f} KiB live, {:.0f} KiB reserved: {:.0f}% of what "
                                         "the whole history takes",
                                         kKib * static_cast<double>(now->kv_live_bytes),
                                         kKib * static_cast<double>(now->kv_reserved_bytes), share)
                                 .c_str());
  }
  if (ImPlot::BeginPlot("##memory", ImVec2(-1, -1), kPlotFlags)) {
    ImPlot::SetupAxis(ImAxis_X1, "episode time [s]");
    ImPlot::SetupAxis(ImAxis_Y1, "KV cache [KiB]");
    ImPlot::SetupAxisLimits(ImAxis_X1, 0, context.axis_end_s(), ImPlotCond_Always);
    ImPlot::SetupAxisLimits(ImAxis_Y1, 0, 1.15 * top, ImPlotCond_Always);
    ImPlot::SetupLegend(ImPlotLocation_NorthWest);
    const int count = static_cast<int>(n);
    ImPlot::PlotLine("whole history", time.data(), full.data(), count, LineSpec(colour::kGrey, 2));
    ImPlot::PlotLine("reserved", time.data(), reserved.data(), count,
                     LineSpec(colour::kOrange, 1.5f));
    ImPlot::PlotLine("live", time.data(), live.data(), count, LineSpec(colour::kSkyBlue, 2.5f));
    PlayheadLine(context);
    ImPlot::EndPlot();
  }
  ImGui::End();
}

}  // namespace kvla
