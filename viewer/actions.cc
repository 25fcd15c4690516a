#include "viewer/actions.h"

#include <algorithm>

namespace kvla {
namespace {

constexpr Shortcut kShortcuts[] = {
    {ViewerAction::kPlayPause, ImGuiKey_Space, "Space", "Pause or play the episode"},
    {ViewerAction::kStep, ImGuiKey_RightArrow, "Right", "One control step, then pause"},
    {ViewerAction::kInference, ImGuiMod_Shift | ImGuiKey_RightArrow, "Shift+Right",
     "One inference and its actions, then pause"},
    {ViewerAction::kBack, ImGuiKey_LeftBracket, "[", "Look back by one inference"},
    {ViewerAction::kForward, ImGuiKey_RightBracket, "]", "Look forward by one inference"},
    {ViewerAction::kLive, ImGuiKey_End, "End", "Look at the newest moment again"},
    {ViewerAction::kRestart, ImGuiKey_Backspace, "Backspace", "Restart the episode, same seed"},
    {ViewerAction::kNext, ImGuiKey_N, "N", "Next seed"},
    {ViewerAction::kSlower, ImGuiKey_Minus, "-", "Slower"},
    {ViewerAction::kFaster, ImGuiKey_Equal, "=", "Faster"},
    {ViewerAction::kHelp, ImGuiKey_F1, "F1", "Show or hide this help"},
    {ViewerAction::kQuit, ImGuiMod_Ctrl | ImGuiKey_Q, "Ctrl+Q", "Quit"},
};

constexpr double kSpeeds[] = {0.1, 0.25, 0.5, 1, 2, 4, 0};

void ShiftSpeed(PanelContext& context, int by) {
  const auto* found = std::find(std::begin(kSpeeds), std::end(kSpeeds), context.state.speed);
  const int count = static_cast<int>(std::size(kSpeeds));
  const int now = found == std::end(kSpeeds) ? 3 : static_cast<int>(found - kSpeeds);
  context.state.speed = kSpeeds[std::clamp(now + by, 0, count - 1)];
  context.Send(ViewerCommandKind::kSpeed, context.state.speed);
}

void MovePlayhead(PanelContext& context, int inferences) {
  ViewState& state = context.state;
  const double now = context.playhead_s();
  state.playhead_s = std::max(0.0, now + inferences * context.model.replan_period_s());
  state.follow = state.playhead_s >= context.model.time_s();
}

}  // namespace

std::span<const Shortcut> Shortcuts() { return kShortcuts; }

std::span<const double> Speeds() { return kSpeeds; }

void Perform(ViewerAction action, PanelContext& context) {
  ViewState& state = context.state;
  switch (action) {
    case ViewerAction::kPlayPause:
      state.paused = !state.paused;
      context.Send(state.paused ? ViewerCommandKind::kPause : ViewerCommandKind::kResume);
      break;
    case ViewerAction::kStep:
    case ViewerAction::kInference:
      state.paused = true;
      state.follow = true;
      context.Send(action == ViewerAction::kStep ? ViewerCommandKind::kStep
                                                 : ViewerCommandKind::kInference);
      break;
    case ViewerAction::kBack:
      MovePlayhead(context, -1);
      break;
    case ViewerAction::kForward:
      MovePlayhead(context, 1);
      break;
    case ViewerAction::kLive:
      state.follow = true;
      break;
    case ViewerAction::kRestart:
    case ViewerAction::kNext:
      state.follow = true;
      context.Send(action == ViewerAction::kRestart ? ViewerCommandKind::kRestart
                                                    : ViewerCommandKind::kNext);
      break;
    case ViewerAction::kSlower:
      ShiftSpeed(context, -1);
      break;
    case ViewerAction::kFaster:
      ShiftSpeed(context, 1);
      break;
    case ViewerAction::kHelp:
      state.show_help = !state.show_help;
      break;
    case ViewerAction::kQuit:
      state.quit = true;
      context.Send(ViewerCommandKind::kQuit);
      break;
  }
}

void HandleShortcuts(PanelContext& context) {
  if (ImGui::GetIO().WantTextInput) return;
  for (const Shortcut& shortcut : kShortcuts) {
    const bool repeats = shortcut.action == ViewerAction::kBack ||
                         shortcut.action == ViewerAction::kForward ||
                         shortcut.action == ViewerAction::kStep;
    const ImGuiInputFlags flags =
        ImGuiInputFlags_RouteGlobal | (repeats ? ImGuiInputFlags_Repeat : 0);
    if (ImGui::Shortcut(shortcut.chord, flags)) Perform(shortcut.action, context);
  }
}

}  // namespace kvla
