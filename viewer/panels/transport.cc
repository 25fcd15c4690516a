#include <fmt/format.h>
#include <imgui.h>

#include <algorithm>

#include "viewer/actions.h"
#include "viewer/panels/panels.h"
#include "viewer/theme.h"

namespace kvla {
namespace {

std::string SpeedName(double speed) {
  return speed > 0 ? fmt::format("{:g} x", speed) : std::string("max");
}

void ActionButton(PanelContext& context, ViewerAction action, const char* label, float width = 0) {
  if (ImGui::Button(label, ImVec2(width, 0))) Perform(action, context);
  for (const Shortcut& shortcut : Shortcuts()) {
    if (shortcut.action != action) continue;
    ImGui::SetItemTooltip("%s  [%s]", shortcut.help, shortcut.keys);
  }
}

void DrawSpeed(PanelContext& context) {
  ImGui::SetNextItemWidth(ImGui::CalcTextSize("0.25 x____").x);
  if (ImGui::BeginCombo("##speed", SpeedName(context.state.speed).c_str())) {
    for (double speed : Speeds()) {
      if (ImGui::Selectable(SpeedName(speed).c_str(), speed == context.state.speed)) {
        context.state.speed = speed;
        context.Send(ViewerCommandKind::kSpeed, speed);
      }
    }
    ImGui::EndCombo();
  }
  ImGui::SetItemTooltip("Speed, times real time  [-] [=]");
}

// The playhead over the whole episode, with the cue's time marked on it.
void DrawScrub(PanelContext& context) {
  const EpisodeModel& model = context.model;
  ViewState& state = context.state;
  float at = static_cast<float>(context.playhead_s());
  const float end = static_cast<float>(std::max(0.05, model.time_s()));
  ImGui::SetNextItemWidth(ImGui::GetContentRegionAvail().x);
  if (ImGui::SliderFloat("##time", &at, 0, end, "", ImGuiSliderFlags_NoInput)) {
    state.playhead_s = at;
    state.follow = at >= end - 1e-4f;
  }
  ImGui::SetItemTooltip("Look at another moment; the episode goes on");
  context.Mark("scrub");
  const ImVec2 low = ImGui::GetItemRectMin(), high = ImGui::GetItemRectMax();
  ImDrawList* draw = ImGui::GetWindowDrawList();
  for (const TraceCue& cue : model.begin().cues) {
    if (cue.begin_s > end) continue;
    const float width = high.x - low.x;
    const float x0 = low.x + width * static_cast<float>(cue.begin_s) / end;
    const float x1 = low.x + width * std::min(1.0f, static_cast<float>(cue.end_s) / end);
    draw->AddRectFilled(ImVec2(x0, high.y - 4), ImVec2(std::max(x1, x0 + 3), high.y), kCueColour);
  }
  const std::string text = fmt::format("{:.2f} s of {:.2f} s", context.playhead_s(), end);
  const ImVec2 size = ImGui::CalcTextSize(text.c_str());
  draw->AddText(ImVec2((low.x + high.x - size.x) / 2, (low.y + high.y - size.y) / 2),
                ImGui::GetColorU32(ImGuiCol_Text), text.c_str());
}

}  // namespace

void DrawTransport(PanelContext& context) {
  ImGui::Begin(kTransportWindow, nullptr, ImGuiWindowFlags_NoScrollbar);
  const bool live = context.commands != nullptr;
  const float wide = ImGui::CalcTextSize("Pause____").x;
  ImGui::BeginDisabled(!live);
  ActionButton(context, ViewerAction::kPlayPause,
               context.state.paused ? "Play###play" : "Pause###play", wide);
  context.Mark("play");
  ImGui::SameLine();
  ActionButton(context, ViewerAction::kStep, "Step");
  context.Mark("step");
  ImGui::SameLine();
  ActionButton(context, ViewerAction::kInference, "Inference");
  context.Mark("inference");
  ImGui::SameLine();
  DrawSpeed(context);
  ImGui::SameLine();
  ActionButton(context, ViewerAction::kRestart, "Restart");
  context.Mark("restart");
  ImGui::SameLine();
  ActionButton(context, ViewerAction::kNext, "Next seed");
  ImGui::EndDisabled();
  ImGui::SameLine();
  ImGui::BeginDisabled(context.state.follow);
  ActionButton(context, ViewerAction::kLive, "Newest");
  ImGui::EndDisabled();
  ImGui::SameLine();
  ActionButton(context, ViewerAction::kHelp, "Help");
  context.Mark("help");
  ImGui::SameLine();
  DrawScrub(context);
  ImGui::End();
}

}  // namespace kvla
