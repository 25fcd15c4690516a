// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <imgui.h>
#include <implot.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "viewer/panels/panels.h"
#include "viewer/panels/plot_tools.h"
#include "viewer/theme.h"

namespace kvla {
namespace {

std::array<double, kLatencyParts> PartsOf(const LatencyParts& l) {
  return {l.render_ms, l.encode_ms, l.linear_ms, l.attend_ms, l.gate_ms, l.compact_ms, l.act_ms};
}

void PlayheadLine(PanelContext& context) {
  const double at = context.playhead_s();
  ImPlotSpec spec = LineSpec(ImGui::GetColorU32(ImGuiCol_Text, 0.6f), 1);
  spec.Flags = ImPlotItemFlags_NoLegend | ImPlotItemFlags_NoFit;
  ImPlot::PlotInfLines("##playhead", &at, 1, spec);
}

// The plot's legend, with the numbers of the inference under the playhead.
void DrawParts(const InferencePoint& point) {
  const auto parts = PartsOf(point.cost.latency);
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

// Dashed lines across a plot, with their names at the right.
void Level(const char* name, double value, ImU32 colour, bool named_left = false) {
  ImPlotSpec spec = LineSpec(colour, 1.5f);
  spec.Flags = ImPlotInfLinesFlags_Horizontal;
  ImPlot::PlotInfLines(name, &value, 1, spec);
  const ImVec2 corner = ImPlot::GetPlotPos();
  const ImVec2 text = ImGui::CalcTextSize(name);
  const float x = corner.x + (named_left ? 4 : ImPlot::GetPlotSize().x - text.x - 4);
  ImPlot::GetPlotDrawList()->AddText(ImVec2(x, ImPlot::PlotToPixels(0, value).y - text.y),
                                     ImGui::GetColorU32(ImGuiCol_Text), name);
}

using Series = std::vector<double>;

std::optional<double> CommittedBytes(const InferencePoint& point) {
  if (!point.cost.kv_committed_bytes.has_value()) return std::nullopt;
  return static_cast<double>(*point.cost.kv_committed_bytes);
}

// One number an inference, of every side, beside what `full` would take.
struct CostCurve {
  const char* plot;
  const char* axis;
  double scale;
  double (*value)(const InferencePoint&);
  std::optional<double> (*extra)(const InferencePoint&);  // or null; absent: not known
  const char* extra_name;
};

template <class FullOf>
void DrawCost(PanelContext& context, const CostCurve& curve, const FullOf& full_of) {
  double top = 1e-9;
  std::vector<Series> times, values, extras, fulls;
  for (const Side& side : context.sides) {
    Series time, value, extra, full;
    for (const InferencePoint& point : side.model.inferences()) {
      time.push_back(point.time_s);
      value.push_back(curve.scale * curve.value(point));
      const auto more = curve.extra != nullptr ? curve.extra(point) : std::nullopt;
      if (more.has_value()) extra.push_back(curve.scale * *more);
      const double all = curve.scale * full_of(side.model, point);
      if (all > 0) full.push_back(all);
      top = std::max({top, value.back(), all, extra.empty() ? 0 : extra.back()});
    }
    times.push_back(std::move(time));
    values.push_back(std::move(value));
    extras.push_back(std::move(extra));
    fulls.push_back(std::move(full));
  }
  if (!ImPlot::BeginPlot(curve.plot, ImVec2(-1, -1), kTimePlotFlags)) return;
  SetupTimeAxis(context, "episode time [s]", 0);
  ImPlot::SetupAxis(ImAxis_Y1, curve.axis);
  ImPlot::SetupAxisLimits(ImAxis_Y1, 0, 1.25 * top, ImPlotCond_Always);
  ImPlot::SetupLegend(ImPlotLocation_NorthWest);
  for (size_t i = 0; i < context.sides.size(); ++i) {
    const int count = static_cast<int>(times[i].size());
    const std::string& arm = context.sides[i].model.begin().id.arm;
    if (i == 0 && fulls[i].size() == times[i].size()) {
      ImPlot::PlotLine("if all were kept", times[i].data(), fulls[i].data(), count,
                       LineSpec(colour::kGrey, 2));
    }
    if (count > 0 && extras[i].size() == times[i].size() && context.sides.size() == 1) {
      ImPlot::PlotLine(curve.extra_name, times[i].data(), extras[i].data(), count,
                       LineSpec(colour::kPurple, 1.5f));
    }
    ImPlot::PlotLine(arm.c_str(), times[i].data(), values[i].data(), count,
                     LineSpec(SideColour(i), 2.5f));
  }
  PlayheadLine(context);
  SeekByClick(context);
  ImPlot::EndPlot();
}

}  // namespace

void DrawLatency(PanelContext& context) {
  if (!BeginPanel(context, kLatencyWindow)) {
    ImGui::End();
    return;
  }
  const EpisodeModel& model = context.model();
  const auto& points = model.inferences();
  const double period_ms = 1000 * model.control_period_s();
  const size_t n = points.size();
  Series time(n);
  // Cumulated, so that each part is the band between two curves.
  std::array<Series, kLatencyParts + 1> upto;
  for (auto& curve : upto) curve.assign(n, 0);
  for (size_t i = 0; i < n; ++i) {
    time[i] = points[i].time_s;
    const auto parts = PartsOf(points[i].cost.latency);
    for (int p = 0; p < kLatencyParts; ++p) upto[p + 1][i] = upto[p][i] + parts[p];
  }
  const double p50 = model.LatencyPercentile(50), p95 = model.LatencyPercentile(95),
               p99 = model.LatencyPercentile(99), most = model.LatencyPercentile(100);
  if (n > 0) {
    ImGui::TextWrapped("%s", fmt::format("{}: p50 {:.1f}, p95 {:.1f}, p99 {:.1f}, max {:.1f} ms; "
                                         "control period {:.0f} ms",
                                         model.begin().id.arm, p50, p95, p99, most, period_ms)
                                 .c_str());
    const InferencePoint* now = model.InferenceAt(context.playhead_s());
    DrawParts(now == nullptr ? points.front() : *now);
  }
  // Rare spikes may leave the plot (the text above it names the highest), and the control period
  // is in sight where it is not far above the data.
  const double top = std::min(1.15 * most, 3 * p95);
  const double high = std::max({1.0, top, 3 * top > period_ms ? 1.15 * period_ms : 0.0});
  if (ImPlot::BeginPlot("##latency", ImVec2(-1, -1), kTimePlotFlags | ImPlotFlags_NoLegend)) {
    SetupTimeAxis(context, "episode time [s]", 0);
    ImPlot::SetupAxis(ImAxis_Y1, "an inference [ms]");
    ImPlot::SetupAxisLimits(ImAxis_Y1, 0, high, ImPlotCond_Always);
    for (int p = 0; p < kLatencyParts; ++p) {
      ImPlotSpec spec;
      spec.FillColor = AsVec4(kLatencyColours[p]);
      spec.LineColor = spec.FillColor;
      spec.FillAlpha = 0.9f;
      ImPlot::PlotShaded(kLatencyNames[p], time.data(), upto[p].data(), upto[p + 1].data(),
                         static_cast<int>(n), spec);
    }
    if (n > 0) {
      const ImU32 text = ImGui::GetColorU32(ImGuiCol_Text, 0.8f);
      Level("p50", p50, text);
      if (p95 - p50 > 0.08 * high) Level("p95", p95, text);
      if (p99 - p95 > 0.08 * high && p99 < high) Level("p99", p99, text);
    }
    if (period_ms <= high) Level("control period", period_ms, colour::kOrange, /*named_left=*/true);
    PlayheadLine(context);
    SeekByClick(context);
    ImPlot::EndPlot();
  }
  context.Mark("latency");
  ImGui::End();
}

void DrawMemory(PanelContext& context) {
  if (!BeginPanel(context, kMemoryWindow)) {
    ImGui::End();
    return;
  }
  constexpr double kKib = 1.0 / 1024;
  for (const Side& side : context.sides) {
    const InferencePoint* now = side.model.InferenceAt(context.playhead_s());
    if (now == nullptr) continue;
    const double all = side.model.FullBytesAt(*now);
    const auto live = static_cast<double>(now->cost.kv_live_bytes);
    std::string text =
        fmt::format("{}: {:.0f} KiB live ({:.0f}% of all)", side.model.begin().id.arm, kKib * live,
                    all > 0 ? 100 * live / all : 100);
    if (const auto committed = CommittedBytes(*now); committed.has_value()) {
      text += fmt::format(", {:.0f} in pages", kKib * *committed);
    }
    ImGui::TextWrapped("%s", text.c_str());
  }
  const CostCurve curve = {"##memory",
                           "KV cache [KiB]",
                           kKib,
                           [](const InferencePoint& p) { return static_cast<double>(p.cost.kv_live_bytes); },
                           CommittedBytes,
                           "pages"};
  DrawCost(context, curve, [](const EpisodeModel& model, const InferencePoint& point) {
    return model.FullBytesAt(point);
  });
  context.Mark("memory");
  ImGui::End();
}

void DrawFlops(PanelContext& context) {
  if (!BeginPanel(context, kFlopsWindow)) {
    ImGui::End();
    return;
  }
  const auto full_of = [&context](const EpisodeModel& model, const InferencePoint& point) {
    // Under every method the first inference attends to the instruction and to itself; what is left
    // of its work is the same for all.
    const InferencePoint& first = model.inferences().front();
    if (!context.hooks.attention_flops || first.index != 0) return 0.0;
    const EpisodeBegin& begin = model.begin();
    const auto attend = [&](int blocks) {
      return context.hooks.attention_flops(
          begin, begin.instruction_tokens + 1.0 * blocks * begin.tokens_per_block);
    };
    return first.cost.flops - attend(1) + attend(point.index + 1);
  };
  for (const Side& side : context.sides) {
    double spent = 0, all = 0;
    for (const InferencePoint& point : side.model.inferences()) {
      if (point.time_s > context.playhead_s() + 1e-9) break;
      spent += point.cost.flops;
      all += full_of(side.model, point);
    }
    ImGui::TextWrapped(
        "%s", fmt::format("{}: {:.0f} MFLOP so far{}", side.model.begin().id.arm, spent / 1e6,
                          all > 0 ? fmt::format(" ({:.1f}% of all)", 100 * spent / all) : "")
                  .c_str());
  }
  const CostCurve curve = {"##flops", "an inference [MFLOP]",
                           1e-6,      [](const InferencePoint& p) { return p.cost.flops; },
                           nullptr,   ""};
  DrawCost(context, curve, full_of);
  context.Mark("flops");
  ImGui::End();
}

void DrawStaleness(PanelContext& context) {
  if (!BeginPanel(context, kStalenessWindow)) {
    ImGui::End();
    return;
  }
  bool any = false;
  for (const Side& side : context.sides) {
    int stale = 0, late = 0;
    for (const InferencePoint& point : side.model.inferences()) {
      if (point.time_s > context.playhead_s() + 1e-9) break;
      stale += point.stale_steps;
      late += point.late ? 1 : 0;
    }
    for (const InferencePoint& point : side.model.inferences()) any = any || point.think_s > 0;
    ImGui::TextWrapped("%s", fmt::format("{}: {} stale control steps, {} missed deadlines so far",
                                         side.model.begin().id.arm, stale, late)
                                 .c_str());
  }
  if (!any) {
    ImGui::TextWrapped("The world waits for the policy here (clock: frozen).");
  } else {
    const CostCurve curve = {"##staleness", "thinking [ms]",
                             1000,          [](const InferencePoint& p) { return p.think_s; },
                             nullptr,       ""};
    DrawCost(context, curve, [](const EpisodeModel&, const InferencePoint&) { return 0.0; });
  }
  context.Mark("staleness");
  ImGui::End();
}

}  // namespace kvla
