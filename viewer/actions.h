// SPDX-License-Identifier: Apache-2.0
// What a person can do, by button or key: one table serves the shortcuts and the help.
#ifndef KVLA_VIEWER_ACTIONS_H_
#define KVLA_VIEWER_ACTIONS_H_

#include <imgui.h>

#include <span>

#include "viewer/panel_context.h"

namespace kvla {

enum class ViewerAction {
  kPlayPause,
  kStep,
  kStepBack,
  kInference,
  kInferenceBack,
  kStart,
  kNewest,
  kCue,
  kDivergence,
  kLoop,
  kRestart,
  kNext,
  kPrevious,
  kSlower,
  kFaster,
  kOtherArm,
  kNextCamera,
  kPreviousCamera,
  kFreeCamera,
  kContacts,
  kForces,
  kFrames,
  kLight,
  kPicture,
  kHelp,
  kQuit,
};

struct Shortcut {
  ViewerAction action;
  ImGuiKeyChord chord;
  const char* keys;   // as the help writes them
  const char* group;  // heading in the help
  const char* help;
};

std::span<const Shortcut> Shortcuts();

void Perform(ViewerAction action, PanelContext& context);

// Performs the actions whose keys were pressed in this frame.
void HandleShortcuts(PanelContext& context);

// The speeds that slower and faster step through, times real time; 0: as fast as it goes.
std::span<const double> Speeds();

// Shows another episode; says so when that fails.
void Choose(PanelContext& context, const Pick& pick);

// The seeds that the feed has for what is shown.
std::vector<int64_t> SeedsOf(const EpisodeFeed& feed);

}  // namespace kvla

#endif  // KVLA_VIEWER_ACTIONS_H_
