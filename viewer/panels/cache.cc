#include <fmt/format.h>
#include <imgui.h>
#include <imgui_internal.h>
#include <implot.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "viewer/panels/panels.h"
#include "viewer/theme.h"

namespace kvla {
namespace {

constexpr ChunkState kStates[] = {ChunkState::kWindow, ChunkState::kWhole, ChunkState::kCompressed,
                                  ChunkState::kDropped};
constexpr ImPlotMarker kMarkers[] = {ImPlotMarker_Diamond, ImPlotMarker_Circle, ImPlotMarker_Square,
                                     ImPlotMarker_Cross};
// The limits of the axes are set at each frame, so that dragging cannot move them.
constexpr ImPlotFlags kPlotFlags =
    ImPlotFlags_NoMenus | ImPlotFlags_NoBoxSelect | ImPlotFlags_NoMouseText | ImPlotFlags_NoLegend;

// A chunk's cell. Shape says what colour says: a dropped chunk is an empty box with a stroke, a
// compressed one stands half as high as a whole one.
void DrawCell(ImDrawList* draw, ImVec2 low, ImVec2 high, ChunkState state) {
  const ImU32 colour = StateColour(state);
  switch (state) {
    case ChunkState::kDropped:
      draw->AddRectFilled(low, high, WithAlpha(colour, 40));
      draw->AddLine(ImVec2(low.x, high.y), ImVec2(high.x, low.y), WithAlpha(colour, 200));
      draw->AddRect(low, high, WithAlpha(colour, 200));
      break;
    case ChunkState::kCompressed:
      draw->AddRect(low, high, WithAlpha(colour, 90));
      draw->AddRectFilled(ImVec2(low.x, (low.y + high.y) / 2), high, colour);
      break;
    case ChunkState::kWhole:
    case ChunkState::kWindow:
      draw->AddRectFilled(low, high, colour);
      break;
  }
}

void DrawCueFrame(ImDrawList* draw, ImVec2 low, ImVec2 high) {
  draw->AddRect(ImVec2(low.x - 2, low.y - 3), ImVec2(high.x + 2, high.y + 3), kCueColour, 2.0f,
                3.0f);
}

// One entry of the legend: a small cell, then its words.
template <class DrawSample>
void LegendEntry(const std::string& text, DrawSample sample) {
  const float size = ImGui::GetTextLineHeight();
  const ImVec2 at = ImGui::GetCursorScreenPos();
  sample(ImGui::GetWindowDrawList(), ImVec2(at.x + 2, at.y + 2),
         ImVec2(at.x + size - 2, at.y + size - 2));
  ImGui::Dummy(ImVec2(size, size));
  ImGui::SameLine(0, 4);
  ImGui::TextUnformatted(text.c_str());
  ImGui::SameLine(0, 18);
}

void SetupTimeAxis(const PanelContext& context, const char* label, ImPlotAxisFlags flags) {
  ImPlot::SetupAxis(ImAxis_X1, label, flags);
  const double chunk_s = context.model.begin().chunk_blocks * context.model.replan_period_s();
  ImPlot::SetupAxisLimits(ImAxis_X1, -1.6 * chunk_s, context.axis_end_s(), ImPlotCond_Always);
}

// The playhead, and the times of the cues, behind or over what a plot shows.
void DrawMoments(PanelContext& context) {
  ImDrawList* draw = ImPlot::GetPlotDrawList();
  const ImVec2 low = ImPlot::GetPlotPos();
  const float bottom = low.y + ImPlot::GetPlotSize().y;
  ImPlot::PushPlotClipRect();
  for (const TraceCue& cue : context.model.begin().cues) {
    const float x0 = ImPlot::PlotToPixels(cue.begin_s, 0).x;
    const float x1 = ImPlot::PlotToPixels(cue.end_s, 0).x;
    draw->AddRectFilled(ImVec2(x0, low.y), ImVec2(std::max(x1, x0 + 2), bottom),
                        WithAlpha(kCueColour, 70));
  }
  const float x = ImPlot::PlotToPixels(context.playhead_s(), 0).x;
  draw->AddLine(ImVec2(x, low.y), ImVec2(x, bottom), ImGui::GetColorU32(ImGuiCol_Text, 0.7f));
  ImPlot::PopPlotClipRect();
}

// Marks the stages that were reached by their number in the episode panel.
void DrawStages(const PanelContext& context) {
  ImDrawList* draw = ImPlot::GetPlotDrawList();
  const auto& stages = context.model.stages();
  const float size = ImGui::GetTextLineHeight() * 0.3f;
  std::map<double, std::string> labels;  // stages reached at one moment share a mark
  for (size_t i = 0; i < stages.size(); ++i) {
    const auto& reached = stages[i].reached_s;
    if (!reached.has_value() || *reached > context.playhead_s() + 1e-9) continue;
    std::string& label = labels[*reached];
    label += fmt::format("{}{}", label.empty() ? "" : ",", i + 1);
  }
  for (const auto& [time_s, label] : labels) {
    const ImVec2 at = ImPlot::PlotToPixels(time_s, 1.0);
    draw->AddTriangleFilled(ImVec2(at.x - size, at.y + 2), ImVec2(at.x + size, at.y + 2),
                            ImVec2(at.x, at.y + 2 + 1.6f * size), colour::kOrange);
    draw->AddText(ImVec2(at.x + size + 2, at.y - 1), ImGui::GetColorU32(ImGuiCol_Text),
                  label.c_str());
  }
}

// A press or a drag that began in the plot moves the playhead.
void TakeClick(PanelContext& context) {
  if (!ImPlot::IsPlotHovered() || !ImGui::IsMouseDown(ImGuiMouseButton_Left)) return;
  const ImVec2 low = ImPlot::GetPlotPos(), size = ImPlot::GetPlotSize();
  const ImVec2 press = ImGui::GetIO().MouseClickedPos[ImGuiMouseButton_Left];
  if (!ImRect(low, ImVec2(low.x + size.x, low.y + size.y)).Contains(press)) return;
  const double end = context.model.time_s();
  context.state.playhead_s = std::clamp(ImPlot::GetPlotMousePos().x, 0.0, end);
  context.state.follow = context.state.playhead_s >= end;
}

}  // namespace

void CachePanel::DrawLegend(PanelContext& context) {
  const int now = context.inference();
  ImGui::AlignTextToFramePadding();
  LegendEntry("instruction", [](ImDrawList* draw, ImVec2 low, ImVec2 high) {
    draw->AddRectFilled(low, high, kInstructionColour);
  });
  for (ChunkState state : kStates) {
    LegendEntry(
        fmt::format("{} {}", context.model.CountAt(now, state), StateName(state)),
        [state](ImDrawList* draw, ImVec2 low, ImVec2 high) { DrawCell(draw, low, high, state); });
  }
  if (!context.model.begin().cues.empty()) {
    LegendEntry("saw the cue", [](ImDrawList* draw, ImVec2 low, ImVec2 high) {
      DrawCueFrame(draw, ImVec2(low.x + 2, low.y + 3), ImVec2(high.x - 2, high.y - 3));
    });
  }
}

// Tokens in the cache, as a share of the whole history.
void CachePanel::DrawShare(PanelContext& context) {
  const EpisodeModel& model = context.model;
  const int now = context.inference();
  const TokenShares tokens = model.TokensAt(now);
  const InferencePoint* point = model.InferenceAt(context.playhead_s());
  const int all = model.begin().instruction_tokens + (now + 1) * model.begin().tokens_per_block;
  const int cached = point != nullptr ? point->cached_tokens : tokens.total();
  const std::string text = fmt::format("{} of {} tokens cached ({:.0f}%)", cached, all,
                                       all > 0 ? 100.0 * cached / all : 0.0);
  const float text_width = ImGui::CalcTextSize("0000 of 0000 tokens cached (000%)").x;
  const float width = std::max(60.0f, ImGui::GetContentRegionAvail().x - text_width - 8);
  const float height = ImGui::GetTextLineHeight();
  const ImVec2 low = ImGui::GetCursorScreenPos();
  ImDrawList* draw = ImGui::GetWindowDrawList();
  float x = low.x;
  const auto part = [&](int count, ImU32 colour) {
    const float w = all > 0 ? width * static_cast<float>(count) / static_cast<float>(all) : 0;
    draw->AddRectFilled(ImVec2(x, low.y + 3), ImVec2(x + w, low.y + height - 3), colour);
    x += w;
  };
  part(tokens.instruction, kInstructionColour);
  part(tokens.whole, StateColour(ChunkState::kWhole));
  part(tokens.compressed, StateColour(ChunkState::kCompressed));
  part(tokens.window, StateColour(ChunkState::kWindow));
  draw->AddRect(ImVec2(low.x, low.y + 3), ImVec2(low.x + width, low.y + height - 3),
                ImGui::GetColorU32(ImGuiCol_Border));
  ImGui::Dummy(ImVec2(width, height));
  ImGui::SetItemTooltip("What the cache holds now, as a share of the whole history");
  ImGui::SameLine(0, 8);
  ImGui::TextUnformatted(text.c_str());
}

void CachePanel::DrawTooltip(PanelContext& context, const ChunkTrack& chunk) {
  const EpisodeModel& model = context.model;
  const ChunkEvent* decision = chunk.DecisionAt(context.inference());
  if (!ImGui::BeginTooltip()) return;
  const ChunkState state = decision == nullptr ? ChunkState::kWindow : decision->state;
  ImGui::TextUnformatted(
      fmt::format("Chunk {}: {}{}", chunk.index, StateName(state), chunk.cue ? ", saw the cue" : "")
          .c_str());
  ImGui::TextUnformatted(fmt::format("frames {} to {}, {:.1f} s to {:.1f} s", chunk.first_block,
                                     chunk.last_block, chunk.begin_s, chunk.end_s)
                             .c_str());
  if (decision != nullptr) {
    const std::string limit =
        context.threshold.has_value() ? fmt::format(", threshold {:.3f}", *context.threshold) : "";
    ImGui::TextUnformatted(fmt::format("score {:.3f}{}", decision->score, limit).c_str());
    ImGui::TextUnformatted(fmt::format("decided at inference {}, {:.1f} s", decision->inference,
                                       decision->inference * model.replan_period_s())
                               .c_str());
    if (context.hooks.reason) {
      ImGui::TextUnformatted(("reason: " + context.hooks.reason(decision->reason)).c_str());
    }
  }
  if (const TraceImage* image = model.Thumbnail(chunk)) {
    thumbnail_.Upload(image->width, image->height, image->rgb);
    ImGui::Image(thumbnail_.ref(), FitInto(ImVec2(160, 160), image->width, image->height));
  }
  ImGui::EndTooltip();
}

void CachePanel::DrawStrip(PanelContext& context) {
  const float height = 4.4f * ImGui::GetTextLineHeight();
  if (!ImPlot::BeginPlot("##strip", ImVec2(-1, height), kPlotFlags)) return;
  SetupTimeAxis(context, nullptr, ImPlotAxisFlags_NoTickLabels | ImPlotAxisFlags_NoGridLines);
  ImPlot::SetupAxis(
      ImAxis_Y1, "chunks",
      ImPlotAxisFlags_NoTickLabels | ImPlotAxisFlags_NoTickMarks | ImPlotAxisFlags_NoGridLines);
  ImPlot::SetupAxisLimits(ImAxis_Y1, 0, 1, ImPlotCond_Always);
  ImPlot::SetupFinish();
  DrawMoments(context);
  ImDrawList* draw = ImPlot::GetPlotDrawList();
  const EpisodeModel& model = context.model;
  const int now = context.inference();
  const double chunk_s = model.begin().chunk_blocks * model.replan_period_s();
  const bool hovered = ImPlot::IsPlotHovered();
  const double mouse_s = hovered ? ImPlot::GetPlotMousePos().x : 0;
  const ChunkTrack* under_mouse = nullptr;
  ImPlot::PushPlotClipRect();
  if (model.begin().instruction_tokens > 0) {
    draw->AddRectFilled(ImPlot::PlotToPixels(-1.3 * chunk_s, 0.78),
                        ImPlot::PlotToPixels(-0.4 * chunk_s, 0.14), kInstructionColour);
  }
  const auto cell_of = [&](const ChunkTrack& chunk, ImVec2* low, ImVec2* high) {
    const double end = std::min(chunk.end_s, (now + 1) * model.replan_period_s());
    *low = ImPlot::PlotToPixels(chunk.begin_s, 0.78);
    *high = ImPlot::PlotToPixels(end, 0.14);
    low->x += 1;
    high->x = std::max(high->x - 1, low->x + 1);
  };
  ImVec2 low, high;
  for (const ChunkTrack& chunk : model.chunks()) {
    if (chunk.first_block > now) break;
    cell_of(chunk, &low, &high);
    DrawCell(draw, low, high, chunk.StateAt(now));
    if (hovered && mouse_s >= chunk.begin_s && mouse_s < chunk.end_s) under_mouse = &chunk;
  }
  for (const ChunkTrack& chunk : model.chunks()) {
    if (chunk.first_block > now || !chunk.cue) continue;
    cell_of(chunk, &low, &high);
    DrawCueFrame(draw, low, high);
    context.rects["cue cell"] = ImVec4(low.x, low.y, high.x, high.y);
  }
  DrawStages(context);
  ImPlot::PopPlotClipRect();
  if (under_mouse != nullptr) {
    cell_of(*under_mouse, &low, &high);
    draw->AddRect(low, high, ImGui::GetColorU32(ImGuiCol_Text), 0.0f, 2.0f);
    DrawTooltip(context, *under_mouse);
  }
  TakeClick(context);
  ImPlot::EndPlot();
  context.Mark("strip");
}

void CachePanel::DrawScores(PanelContext& context) {
  if (!ImPlot::BeginPlot("##scores", ImVec2(-1, -1), kPlotFlags)) return;
  SetupTimeAxis(context, "episode time of the chunk's frames [s]", 0);
  const bool gated = context.model.begin().cache_policy == "gated";
  ImPlot::SetupAxis(ImAxis_Y1, gated ? "gate score" : "score");
  ImPlot::SetupAxisLimits(ImAxis_Y1, -0.05, 1.05, ImPlotCond_Always);
  const double ticks[] = {0, 0.5, 1};
  ImPlot::SetupAxisTicks(ImAxis_Y1, ticks, 3);
  ImPlot::SetupFinish();
  DrawMoments(context);
  if (context.threshold.has_value()) {
    ImPlotSpec spec;
    spec.LineColor = AsVec4(colour::kOrange);
    spec.LineWeight = 1.5f;
    spec.Flags = ImPlotInfLinesFlags_Horizontal;
    ImPlot::PlotInfLines("threshold", &*context.threshold, 1, spec);
    ImPlot::TagY(*context.threshold, AsVec4(colour::kOrange), "%.2f", *context.threshold);
  }
  const int now = context.inference();
  bool any = false;
  for (size_t s = 0; s < std::size(kStates); ++s) {
    std::vector<double> xs, ys;
    for (const ChunkTrack& chunk : context.model.chunks()) {
      const ChunkEvent* decision = chunk.DecisionAt(now);
      if (decision == nullptr || decision->state != kStates[s] || decision->score == 0) continue;
      xs.push_back((chunk.begin_s + chunk.end_s) / 2);
      ys.push_back(decision->score);
    }
    any = any || !xs.empty();
    ImPlotSpec spec;
    spec.Marker = kMarkers[s];
    spec.MarkerSize = 4.5f;
    spec.LineColor = AsVec4(StateColour(kStates[s]));
    spec.MarkerLineColor = spec.LineColor;
    spec.MarkerFillColor = spec.LineColor;
    spec.LineWeight = 2;
    ImPlot::PlotScatter(StateName(kStates[s]), xs.data(), ys.data(), static_cast<int>(xs.size()),
                        spec);
  }
  if (!any) {
    ImPlot::PlotText("no scores so far (only methods that score chunks give them)",
                     context.axis_end_s() / 2, 0.75);
  }
  TakeClick(context);
  ImPlot::EndPlot();
  context.Mark("scores");
}

void CachePanel::Draw(PanelContext& context) {
  if (ImGui::Begin(kCacheWindow)) {
    if (!context.model.started()) {
      ImGui::TextDisabled("waiting for an episode");
    } else {
      DrawLegend(context);
      DrawShare(context);
      if (ImPlot::BeginAlignedPlots("cache")) {
        DrawStrip(context);
        DrawScores(context);
        ImPlot::EndAlignedPlots();
      }
    }
  }
  ImGui::End();
}

}  // namespace kvla
