// SPDX-License-Identifier: Apache-2.0
#include <imgui.h>

#include <string_view>

#include "viewer/actions.h"
#include "viewer/panels/panels.h"

namespace kvla {
namespace {

void DrawKeys() {
  if (!ImGui::BeginTable("keys", 2, ImGuiTableFlags_RowBg | ImGuiTableFlags_SizingFixedFit)) return;
  std::string_view group;
  for (const Shortcut& shortcut : Shortcuts()) {
    if (group != shortcut.group) {
      group = shortcut.group;
      ImGui::TableNextRow();
      ImGui::TableNextColumn();
      ImGui::TextDisabled("%s", shortcut.group);
    }
    ImGui::TableNextRow();
    ImGui::TableNextColumn();
    ImGui::TextUnformatted(shortcut.keys);
    ImGui::TableNextColumn();
    ImGui::TextUnformatted(shortcut.help);
  }
  ImGui::EndTable();
}

}  // namespace

void DrawHelp(PanelContext& context) {
  if (!context.state.show_help) return;
  const ImGuiViewport* view = ImGui::GetMainViewport();
  ImGui::SetNextWindowPos(view->GetCenter(), ImGuiCond_Appearing, ImVec2(0.5f, 0.5f));
  ImGui::SetNextWindowSizeConstraints(ImVec2(0, 0), ImVec2(view->WorkSize.x, view->WorkSize.y));
  const ImGuiWindowFlags flags =
      ImGuiWindowFlags_NoDocking | ImGuiWindowFlags_AlwaysAutoResize | ImGuiWindowFlags_NoCollapse;
  if (ImGui::Begin("Help", &context.state.show_help, flags)) {
    if (ImGui::BeginTable("columns", 2, ImGuiTableFlags_SizingFixedFit)) {
      ImGui::TableNextColumn();
      DrawKeys();
      ImGui::TableNextColumn();
      ImGui::PushTextWrapPos(ImGui::GetCursorPosX() + 26 * ImGui::GetFontSize());
      ImGui::TextUnformatted(
          "Why did it fail? The panel \"Episode\" says in one sentence what became of the cue. The "
          "cells in \"Cache\" are the chunks of frames "
          "that the policy remembers; the framed one saw "
          "the cue. Hover it for its frame, its score "
          "and when it was decided on; press U to go there.\n\n"
          "Scene: drag turns, right drag shifts (Shift: "
          "level with the ground), wheel or middle drag "
          "zooms; a right double click looks at that point. A double click selects an object; "
          "Ctrl and a right drag then pulls it (with Shift level), Ctrl and a drag turns it: a "
          "live episode, which is marked as not comparable.\n\n"
          "Plots and strips: click or drag to look at that moment.\n\n"
          "Drag a window's title to dock it elsewhere; the layout is kept (View: reset it).");
      ImGui::PopTextWrapPos();
      ImGui::EndTable();
    }
  }
  ImGui::End();
}

}  // namespace kvla
