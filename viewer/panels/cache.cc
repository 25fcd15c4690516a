// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <imgui.h>
#include <imgui_internal.h>
#include <implot.h>

#include <algorithm>
#include <string>
#include <vector>

#include "viewer/panels/panels.h"
#include "viewer/panels/plot_tools.h"
#include "viewer/theme.h"

namespace kvla {
namespace {

constexpr ChunkAction kStates[] = {ChunkAction::kWindow, ChunkAction::kWhole,
                                   ChunkAction::kCompressed, ChunkAction::kDropped};
constexpr ImPlotFlags kPlotFlags = kTimePlotFlags | ImPlotFlags_NoLegend;
// Bounds of the cells on the strip's axis, which runs from 0 to 1.
constexpr double kCellTop = 0.72, kCellBottom = 0.16;

// A chunk's cell. Shape says what colour says: a dropped chunk is an empty box with a stroke, a
// compressed one stands half as high as a whole one. `alpha` below 255: not so yet.
void DrawCell(ImDrawList* draw, ImVec2 low, ImVec2 high, ChunkAction state, int alpha = 255) {
  const ImU32 full = StateColour(state);
  const auto shade = [&](int a) { return WithAlpha(full, a * alpha / 255); };
  switch (state) {
    case ChunkAction::kDropped:
      draw->AddRectFilled(low, high, shade(40));
      draw->AddLine(ImVec2(low.x, high.y), ImVec2(high.x, low.y), shade(200));
      draw->AddRect(low, high, shade(200));
      break;
    case ChunkAction::kCompressed:
      draw->AddRect(low, high, shade(90));
      draw->AddRectFilled(ImVec2(low.x, (low.y + high.y) / 2), high, shade(255));
      break;
    case ChunkAction::kWhole:
    case ChunkAction::kWindow:
      draw->AddRectFilled(low, high, shade(255));
      break;
  }
}

void DrawCueFrame(ImDrawList* draw, ImVec2 low, ImVec2 high) {
  draw->AddRect(ImVec2(low.x - 2, low.y - 3), ImVec2(high.x + 2, high.y + 3), kCueColour, 2.0f,
                3.0f);
}

// The ground behind chunks that two arms hold in different states.
ImU32 DifferenceColour() { return ImGui::GetColorU32(ImGuiCol_Text, 0.35f); }

std::vector<int> Differing(const PanelContext& context) {
  if (context.sides.size() < 2) return {};
  const EpisodeModel &a = context.sides[0].model, &b = context.sides[1].model;
  return DifferingChunks(a, context.inference(a), b, context.inference(b));
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
  ImGui::SameLine(0, 16);
}

void DrawLegend(PanelContext& context) {
  const EpisodeModel& model = context.model();
  const int now = context.inference();
  LegendEntry("instruction", [](ImDrawList* draw, ImVec2 low, ImVec2 high) {
    draw->AddRectFilled(low, high, kInstructionColour);
  });
  for (ChunkAction state : kStates) {
    LegendEntry(
        fmt::format("{} {}", model.CountAt(now, state), StateName(state)),
        [state](ImDrawList* draw, ImVec2 low, ImVec2 high) { DrawCell(draw, low, high, state); });
  }
  if (!model.begin().cues.empty()) {
    LegendEntry("saw the cue", [](ImDrawList* draw, ImVec2 low, ImVec2 high) {
      DrawCueFrame(draw, ImVec2(low.x + 2, low.y + 3), ImVec2(high.x - 2, high.y - 3));
    });
  }
  if (!model.begin().decoys.empty()) {
    LegendEntry("to be ignored", [](ImDrawList* draw, ImVec2 low, ImVec2 high) {
      DrawDecoyBand(draw, low, high, 255);
    });
  }
  if (context.sides.size() > 1) {
    LegendEntry(fmt::format("{} differ", Differing(context).size()),
                [](ImDrawList* draw, ImVec2 low, ImVec2 high) {
                  draw->AddRectFilled(low, high, DifferenceColour());
                });
  }
  const InferencePoint* point = model.InferenceAt(context.playhead_s());
  const int all = model.begin().instruction_tokens + (now + 1) * model.begin().tokens_per_block;
  const int cached = point != nullptr ? point->cost.cached_tokens : 0;
  const std::string text = fmt::format("{}: {} of {} tokens cached ({:.0f}%)", model.begin().id.arm,
                                       cached, all, all > 0 ? 100.0 * cached / all : 0.0);
  const float width = ImGui::CalcTextSize(text.c_str()).x;
  const float space = ImGui::GetContentRegionAvail().x;
  if (space > width) ImGui::SetCursorPosX(ImGui::GetCursorPosX() + space - width);
  ImGui::TextUnformatted(text.c_str());
}

// Room to the left of time 0, for the arm's name and the instruction's cell.
double LeadSeconds(const PanelContext& context) {
  const double pixels = ImGui::CalcTextSize("sink_window_").x;
  const double width = std::max(200.0, 1.0 * ImGui::GetContentRegionAvail().x - pixels - 60);
  return context.axis_end_s() * pixels / width;
}

// Marks the stages that were reached, by their number in the episode panel.
void DrawStages(const PanelContext& context, const EpisodeModel& model) {
  ImDrawList* draw = ImPlot::GetPlotDrawList();
  const float size = ImGui::GetTextLineHeight() * 0.3f;
  std::map<double, std::string> labels;  // stages reached at one moment share a mark
  for (size_t i = 0; i < model.stages().size(); ++i) {
    const auto& reached = model.stages()[i].reached_s;
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

// From the cells of cues to the moments when they were decided on.
class Fates {
 public:
  explicit Fates(const PanelContext& context) : context_(context) {}

  void Draw(const Side& side, const ChunkTrack& chunk, ImVec2 cell_low, ImVec2 cell_high) {
    const EpisodeModel& model = side.model;
    const ChunkEvent* event = chunk.DecisionAt(context_.inference(model));
    if (event == nullptr) return;
    ImDrawList* draw = ImPlot::GetPlotDrawList();
    const float x = ImPlot::PlotToPixels(event->inference * model.replan_period_s(), 0).x;
    const float y = ImPlot::PlotToPixels(0, 0.06).y;
    const float from = (cell_low.x + cell_high.x) / 2;
    draw->AddLine(ImVec2(from, cell_high.y + 3), ImVec2(from, y), kCueColour, 2);
    draw->AddLine(ImVec2(from, y), ImVec2(x, y), kCueColour, 2);
    draw->AddTriangleFilled(ImVec2(x, y), ImVec2(x - 6, y - 4), ImVec2(x - 6, y + 4), kCueColour);
    const bool scored = side.method.scores;
    const std::string text =
        scored ? fmt::format("{}, score {:.2f}", StateName(event->decision.action),
                             event->decision.score)
               : StateName(event->decision.action);
    // Labels that would lie over each other become one.
    if (!labels_.empty() && x < labels_.back().x + ImGui::CalcTextSize(text.c_str()).x + 12) {
      Label& last = labels_.back();
      last.x = x;
      if (!last.text.ends_with(text)) last.text += "; " + text;
    } else {
      labels_.push_back({x, text});
    }
    y_ = y;
  }

  void DrawLabels() const {
    ImDrawList* draw = ImPlot::GetPlotDrawList();
    for (const Label& label : labels_) {
      const ImVec2 size = ImGui::CalcTextSize(label.text.c_str());
      const ImVec2 at(label.x + 3, y_ - size.y + 3);
      draw->AddRectFilled(ImVec2(at.x - 1, at.y), ImVec2(at.x + size.x + 2, at.y + size.y),
                          ImGui::GetColorU32(ImGuiCol_WindowBg, 0.85f), 2);
      draw->AddText(at, ImGui::GetColorU32(ImGuiCol_Text), label.text.c_str());
    }
  }

 private:
  struct Label {
    float x;
    std::string text;
  };
  const PanelContext& context_;
  std::vector<Label> labels_;
  float y_ = 0;
};

}  // namespace

void CachePanel::DrawTooltip(PanelContext& context, const Side& side, const ChunkTrack& chunk) {
  const EpisodeModel& model = side.model;
  const int now = context.inference(model);
  const ChunkEvent* event = chunk.DecisionAt(now);
  if (!ImGui::BeginTooltip()) return;
  const auto line = [](const std::string& text) { ImGui::TextUnformatted(text.c_str()); };
  const ChunkAction state = event == nullptr ? ChunkAction::kWindow : event->decision.action;
  line(fmt::format("{}, chunk {}: {}{}", model.begin().id.arm, chunk.index,
                   chunk.first_block > now ? "not seen yet" : StateName(state),
                   chunk.cue ? ", saw the cue" : ""));
  line(fmt::format("frames {} to {}, {:.1f} s to {:.1f} s; {} tokens, {:.1f} KiB now",
                   chunk.first_block, chunk.last_block, chunk.begin_s, chunk.end_s,
                   model.TokensOf(chunk, now), model.BytesOf(chunk, now) / 1024));
  if (event != nullptr) {
    const std::optional<double> threshold = context.method(side).threshold;
    if (side.method.scores) {
      line(fmt::format("score {:.3f}{}, one for all layers", event->decision.score,
                       threshold.has_value() ? fmt::format(", threshold {:.3f}", *threshold) : ""));
    }
    line(fmt::format("decided at inference {}, {:.1f} s", event->inference,
                     event->inference * model.replan_period_s()));
    line(fmt::format("reason: {}", ReasonText(event->decision.reason)));
  }
  if (const InferencePoint* point = model.InferenceAt(context.playhead_s())) {
    const double share = model.AttentionOf(*point, chunk.index);
    if (share >= 0) line(fmt::format("attention received now: {:.1f}%", 100 * share));
  }
  if (const TraceImage* image = model.Thumbnail(chunk)) {
    thumbnail_.Upload(image->width, image->height, image->rgb);
  } else if (!context.hooks.cameras.empty()) {
    SceneRequest request = context.FrameScene(side, model.FrameOf(chunk));
    request.camera = context.hooks.cameras.front();
    request.as_policy = true;
    request.width = request.height = context.hooks.image_size;
    if (!request.scene.empty()) context.scenes.Request(kThumbnailSlot, request);
    if (context.scenes.Take(kThumbnailSlot, &image_)) {
      thumbnail_.Upload(image_.width, image_.height, image_.rgb);
    }
  }
  if (!thumbnail_.empty()) {
    ImGui::Image(thumbnail_.ref(),
                 FitInto(ImVec2(160, 160), thumbnail_.width(), thumbnail_.height()));
    context.Mark("thumbnail");
  }
  ImGui::EndTooltip();
}

// From back to front: the instruction's bar, the ground of what two arms treat differently, a cell
// a chunk as of the playhead (faint where not seen yet), then frames and arrows of the chunks that
// saw the cue, and the tooltip of the one under the mouse.
void CachePanel::DrawStrip(PanelContext& context, size_t index, float height, bool ticks) {
  const Side& side = context.sides[index];
  const EpisodeModel& model = side.model;
  const std::string name = fmt::format("##strip{}", index);
  if (!ImPlot::BeginPlot(name.c_str(), ImVec2(-1, height), kPlotFlags)) return;
  const double lead = LeadSeconds(context);
  SetupTimeAxis(context, ticks ? "episode time of the chunk's frames [s]" : nullptr,
                ImPlotAxisFlags_NoGridLines | (ticks ? 0 : ImPlotAxisFlags_NoTickLabels), lead);
  ImPlot::SetupAxis(
      ImAxis_Y1, "chunks",
      ImPlotAxisFlags_NoTickLabels | ImPlotAxisFlags_NoTickMarks | ImPlotAxisFlags_NoGridLines);
  ImPlot::SetupAxisLimits(ImAxis_Y1, 0, 1, ImPlotCond_Always);
  ImPlot::SetupFinish();
  DrawMoments(context, model);
  ImDrawList* draw = ImPlot::GetPlotDrawList();
  const int now = context.inference(model);
  const bool hovered = ImPlot::IsPlotHovered();
  const double mouse_s = hovered ? ImPlot::GetPlotMousePos().x : -1;
  const ChunkTrack* under_mouse = nullptr;
  ImPlot::PushPlotClipRect();
  const bool chosen = index == context.state.side && context.sides.size() > 1;
  draw->AddText(ImPlot::PlotToPixels(-0.97 * lead, 1.0),
                ImGui::GetColorU32(chosen ? ImGuiCol_Text : ImGuiCol_TextDisabled),
                ((chosen ? "> " : "") + model.begin().id.arm).c_str());
  if (model.begin().instruction_tokens > 0) {
    draw->AddRectFilled(ImPlot::PlotToPixels(-0.6 * lead, kCellTop),
                        ImPlot::PlotToPixels(-0.15 * lead, kCellBottom), kInstructionColour);
  }
  const auto cell_of = [&](const ChunkTrack& chunk, ImVec2* low, ImVec2* high) {
    const bool partly = chunk.first_block <= now && chunk.last_block > now;
    const double end = partly ? (now + 1) * model.replan_period_s() : chunk.end_s;
    *low = ImPlot::PlotToPixels(chunk.begin_s, kCellTop);
    *high = ImPlot::PlotToPixels(end, kCellBottom);
    low->x += 1;
    high->x = std::max(high->x - 1, low->x + 1);
  };
  ImVec2 low, high;
  // Through the whole height, so that the grounds of both strips meet.
  for (const int chunk : Differing(context)) {
    cell_of(model.chunks()[chunk], &low, &high);
    draw->AddRectFilled(ImVec2(low.x, ImPlot::PlotToPixels(0, 1.0).y),
                        ImVec2(high.x, ImPlot::PlotToPixels(0, 0.0).y), DifferenceColour());
  }
  for (const ChunkTrack& chunk : model.chunks()) {
    cell_of(chunk, &low, &high);
    constexpr int kFaint = 45;
    DrawCell(draw, low, high, chunk.StateAt(now), chunk.first_block > now ? kFaint : 255);
    if (mouse_s >= chunk.begin_s && mouse_s < chunk.end_s) under_mouse = &chunk;
  }
  Fates fates(context);
  for (const ChunkTrack& chunk : model.chunks()) {
    if (chunk.first_block > now || !chunk.cue) continue;
    cell_of(chunk, &low, &high);
    DrawCueFrame(draw, low, high);
    fates.Draw(side, chunk, low, high);
    context.rects[index == 0 ? "cue cell" : "cue cell 2"] = ImVec4(low.x, low.y, high.x, high.y);
  }
  fates.DrawLabels();
  DrawStages(context, model);
  ImPlot::PopPlotClipRect();
  if (under_mouse != nullptr) {
    cell_of(*under_mouse, &low, &high);
    draw->AddRect(low, high, ImGui::GetColorU32(ImGuiCol_Text), 0.0f, 2.0f);
    DrawTooltip(context, side, *under_mouse);
  }
  if (hovered && ImGui::IsMouseClicked(ImGuiMouseButton_Left)) context.state.side = index;
  SeekByClick(context);
  ImPlot::EndPlot();
  context.Mark(index == 0 ? "strip" : "strip 2");
}

void CachePanel::Draw(PanelContext& context) {
  if (BeginPanel(context, kCacheWindow)) {
    if (!context.model().started()) {
      ImGui::TextDisabled("waiting for an episode");
    } else {
      DrawLegend(context);
      const float line = ImGui::GetTextLineHeight();
      const bool scores =
          std::ranges::any_of(context.sides, [](const Side& side) { return side.method.scores; });
      const auto sides = static_cast<float>(context.sides.size());
      const float height =
          scores ? (sides > 1 ? 4.2f : 4.9f) * line
                 : std::min(7.5f * line,
                            (ImGui::GetContentRegionAvail().y - 2 * sides * line) / sides);
      if (ImPlot::BeginAlignedPlots("cache")) {
        for (size_t i = 0; i < context.sides.size(); ++i) {
          DrawStrip(context, i, height, !scores && i + 1 == context.sides.size());
        }
        if (scores && ImGui::GetContentRegionAvail().y > 3 * line) {
          DrawScores(context, LeadSeconds(context));
        }
        ImPlot::EndAlignedPlots();
      }
      if (!scores) {
        ImGui::TextDisabled("%s without scores: no plot of them.",
                            context.sides.size() > 1
                                ? "Both arms decide"
                                : (context.model().begin().id.arm + " decides").c_str());
      }
    }
  }
  ImGui::End();
}

}  // namespace kvla
