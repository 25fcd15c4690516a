// SPDX-License-Identifier: Apache-2.0
#include "viewer/actions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

namespace kvla {
namespace {

// As in MuJoCo's simulate where that has the same thing.
constexpr Shortcut kShortcuts[] = {
    {ViewerAction::kPlayPause, ImGuiKey_Space, "Space", "Time", "Play or pause"},
    {ViewerAction::kStep, ImGuiKey_RightArrow, "Right", "Time", "One control step on"},
    {ViewerAction::kStepBack, ImGuiKey_LeftArrow, "Left", "Time", "One control step back"},
    {ViewerAction::kInference, ImGuiMod_Shift | ImGuiKey_RightArrow, "Shift+Right", "Time",
     "One inference on"},
    {ViewerAction::kInferenceBack, ImGuiMod_Shift | ImGuiKey_LeftArrow, "Shift+Left", "Time",
     "One inference back"},
    {ViewerAction::kStart, ImGuiKey_Home, "Home", "Time", "To the start"},
    {ViewerAction::kNewest, ImGuiKey_End, "End", "Time", "To the newest moment"},
    {ViewerAction::kCue, ImGuiKey_U, "U", "Time", "To the cue, then to where it was decided on"},
    {ViewerAction::kDivergence, ImGuiKey_J, "J", "Time", "To where the two arms first act apart"},
    {ViewerAction::kSlower, ImGuiKey_Minus, "-", "Time", "Slower"},
    {ViewerAction::kFaster, ImGuiKey_Equal, "=", "Time", "Faster"},
    {ViewerAction::kLoop, ImGuiKey_L, "L", "Time", "Play in a loop (replay)"},
    {ViewerAction::kRestart, ImGuiKey_Backspace, "Backspace", "Episode", "From the start again"},
    {ViewerAction::kNext, ImGuiKey_N, "N", "Episode", "Next seed"},
    {ViewerAction::kPrevious, ImGuiKey_P, "P", "Episode", "Previous seed"},
    {ViewerAction::kOtherArm, ImGuiKey_A, "A", "Episode", "Details of the other arm"},
    {ViewerAction::kNextCamera, ImGuiKey_RightBracket, "]", "Scene", "Next camera"},
    {ViewerAction::kPreviousCamera, ImGuiKey_LeftBracket, "[", "Scene", "Previous camera"},
    {ViewerAction::kFreeCamera, ImGuiKey_Escape, "Esc", "Scene", "Free camera, as at the start"},
    {ViewerAction::kContacts, ImGuiKey_C, "C", "Scene", "Contact points"},
    {ViewerAction::kForces, ImGuiKey_F, "F", "Scene", "Contact forces"},
    {ViewerAction::kFrames, ImGuiKey_F6, "F6", "Scene", "Frames of the bodies"},
    {ViewerAction::kLight, ImGuiKey_F9, "F9", "Window", "Light or dark"},
    {ViewerAction::kPicture, ImGuiKey_F12, "F12", "Window", "Write the window as PNG"},
    {ViewerAction::kHelp, ImGuiKey_F1, "F1", "Window", "Show or hide this help"},
    {ViewerAction::kQuit, ImGuiMod_Ctrl | ImGuiKey_Q, "Ctrl+Q", "Window", "Quit"},
};

constexpr double kSpeeds[] = {0.1, 0.25, 0.5, 1, 2, 4, 8, 0};

void ShiftSpeed(PanelContext& context, int by) {
  const auto* found = std::find(std::begin(kSpeeds), std::end(kSpeeds), context.state.speed);
  const int count = static_cast<int>(std::size(kSpeeds));
  const int now = found == std::end(kSpeeds) ? 3 : static_cast<int>(found - kSpeeds);
  context.state.speed = kSpeeds[std::clamp(now + by, 0, count - 1)];
  context.Send(ViewerCommandKind::kSpeed, context.state.speed);
}

void PlayPause(PanelContext& context) {
  ViewState& state = context.state;
  if (!context.feed.live()) {
    // At the end there is nothing left to play.
    if (state.paused && context.playhead_s() >= context.end_s() - 1e-6) context.Seek(0);
    state.paused = !state.paused;
    return;
  }
  state.paused = !state.paused;
  context.Send(state.paused ? ViewerCommandKind::kPause : ViewerCommandKind::kResume);
}

// On by so many control steps. A live episode that stands at its newest moment is asked to go on.
void Move(PanelContext& context, bool inference, int by) {
  ViewState& state = context.state;
  if (context.feed.live() && state.follow && by > 0) {
    state.paused = true;
    context.Send(inference ? ViewerCommandKind::kInference : ViewerCommandKind::kStep);
    return;
  }
  if (!context.feed.live()) state.paused = true;
  const EpisodeModel& model = context.model();
  const double period = inference ? model.replan_period_s() : model.control_period_s();
  context.Seek(context.playhead_s() + by * period);
}

// The first cue, then one after the other where it was decided on.
void NextCueMoment(PanelContext& context) {
  const Side& side = context.side();
  std::vector<double> moments;
  for (const TraceCue& cue : side.model.begin().cues) moments.push_back(cue.begin_s);
  const CueStory story = TellCue(side.model, side.model.last_inference(), side.method);
  for (const CueFate& fate : story.fates) moments.push_back(fate.look_s);
  std::sort(moments.begin(), moments.end());
  if (moments.empty()) return context.Say("This episode has no cue.");
  constexpr double kSlack = 1e-3;
  const auto next = std::upper_bound(moments.begin(), moments.end(), context.playhead_s() + kSlack);
  if (!context.feed.live()) context.state.paused = true;
  context.Seek(next == moments.end() ? moments.front() : *next);
}

void SeekDivergence(PanelContext& context) {
  if (context.sides.size() < 2) return context.Say("One arm only: pick a second one to compare.");
  // Any bit, then what an eye can see.
  constexpr float kVisible = 0.1f;
  const EpisodeModel &a = context.sides[0].model, &b = context.sides[1].model;
  auto found = FirstDivergence(a, b, 0);
  if (!found.has_value()) return context.Say("The two arms never act apart.");
  const auto visible = FirstDivergence(a, b, kVisible);
  const bool there = std::abs(context.playhead_s() - found->time_s) < 1e-3;
  if (there && visible.has_value()) found = visible;
  context.Say(fmt::format(
      "The arms act apart at {:.2f} s (control step {}) by {:.2g} "
      "of a full action{}",
      found->time_s, found->control_step, found->difference,
      visible.has_value() && !there
          ? fmt::format("; by {} or more at {:.2f} s (J again)", kVisible, visible->time_s)
          : ""));
  if (!context.feed.live()) context.state.paused = true;
  context.Seek(found->time_s);
}

void ChangeSeed(PanelContext& context, int by) {
  const std::vector<int64_t> seeds = SeedsOf(context.feed);
  if (seeds.empty()) {  // a live source without a list
    if (by > 0) context.Send(ViewerCommandKind::kNext);
    context.state.follow = true;
    return;
  }
  Pick pick = context.feed.pick();
  const auto at = std::find(seeds.begin(), seeds.end(), pick.seed);
  const auto count = static_cast<int64_t>(seeds.size());
  const int64_t index = at == seeds.end() ? 0 : at - seeds.begin();
  pick.seed = seeds[(index + by + count) % count];
  Choose(context, pick);
}

void Restart(PanelContext& context) {
  if (context.feed.live()) {
    context.state.follow = true;
    context.Send(ViewerCommandKind::kRestart);
  } else {
    context.Seek(0);
    context.state.paused = false;
  }
}

void ShiftCamera(PanelContext& context, int by) {
  const int count = 1 + static_cast<int>(context.hooks.cameras.size());
  context.state.camera = (context.state.camera + by + count) % count;
}

}  // namespace

std::span<const Shortcut> Shortcuts() { return kShortcuts; }

std::span<const double> Speeds() { return kSpeeds; }

std::vector<int64_t> SeedsOf(const EpisodeFeed& feed) {
  const Pick& pick = feed.pick();
  std::vector<int64_t> seeds;
  for (const EpisodeEntry& entry : feed.episodes()) {
    const EpisodeId& id = entry.id;
    if (id.task == pick.task && id.delay == pick.delay) seeds.push_back(id.seed);
  }
  std::sort(seeds.begin(), seeds.end());
  seeds.erase(std::unique(seeds.begin(), seeds.end()), seeds.end());
  return seeds;
}

void Choose(PanelContext& context, const Pick& pick) {
  const Status status = context.feed.Choose(pick);
  if (!status.ok()) context.Say("Cannot show that: " + status.message());
}

// One line an action; what takes more than that has a function of its own above. The table of keys
// and the help are in actions.h.
void Perform(ViewerAction action, PanelContext& context) {
  ViewState& state = context.state;
  switch (action) {
    case ViewerAction::kPlayPause:
      return PlayPause(context);
    case ViewerAction::kStep:
      return Move(context, false, 1);
    case ViewerAction::kStepBack:
      return Move(context, false, -1);
    case ViewerAction::kInference:
      return Move(context, true, 1);
    case ViewerAction::kInferenceBack:
      return Move(context, true, -1);
    case ViewerAction::kStart:
      return context.Seek(0);
    case ViewerAction::kNewest:
      return context.Seek(context.end_s());
    case ViewerAction::kCue:
      return NextCueMoment(context);
    case ViewerAction::kDivergence:
      return SeekDivergence(context);
    case ViewerAction::kLoop:
      state.loop = !state.loop;
      return;
    case ViewerAction::kRestart:
      return Restart(context);
    case ViewerAction::kNext:
      return ChangeSeed(context, 1);
    case ViewerAction::kPrevious:
      return ChangeSeed(context, -1);
    case ViewerAction::kSlower:
      return ShiftSpeed(context, -1);
    case ViewerAction::kFaster:
      return ShiftSpeed(context, 1);
    case ViewerAction::kOtherArm:
      state.side = (state.side + 1) % context.sides.size();
      return;
    case ViewerAction::kNextCamera:
      return ShiftCamera(context, 1);
    case ViewerAction::kPreviousCamera:
      return ShiftCamera(context, -1);
    case ViewerAction::kFreeCamera:
      state.camera = 0;
      state.free = {};
      state.overlay.selected = -1;
      return;
    case ViewerAction::kContacts:
      state.overlay.contacts = !state.overlay.contacts;
      return;
    case ViewerAction::kForces:
      state.overlay.forces = !state.overlay.forces;
      return;
    case ViewerAction::kFrames:
      state.overlay.frames = !state.overlay.frames;
      return;
    case ViewerAction::kLight:
      state.light = !state.light;
      return;
    case ViewerAction::kPicture:
      state.export_window = "all";
      return;
    case ViewerAction::kHelp:
      state.show_help = !state.show_help;
      return;
    case ViewerAction::kQuit:
      state.quit = true;
      return context.Send(ViewerCommandKind::kQuit);
  }
}

void HandleShortcuts(PanelContext& context) {
  if (ImGui::GetIO().WantTextInput) return;
  for (const Shortcut& shortcut : kShortcuts) {
    const bool repeats = std::string_view(shortcut.group) == "Time" &&
                         shortcut.action != ViewerAction::kPlayPause &&
                         shortcut.action != ViewerAction::kLoop;
    const ImGuiInputFlags flags =
        ImGuiInputFlags_RouteGlobal | (repeats ? ImGuiInputFlags_Repeat : 0);
    if (ImGui::Shortcut(shortcut.chord, flags)) Perform(shortcut.action, context);
  }
}

}  // namespace kvla
