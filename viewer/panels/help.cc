#include <imgui.h>

#include "viewer/actions.h"
#include "viewer/panels/panels.h"

namespace kvla {

void DrawHelp(PanelContext& context) {
  if (!context.state.show_help) return;
  const ImGuiViewport* view = ImGui::GetMainViewport();
  ImGui::SetNextWindowPos(view->GetCenter(), ImGuiCond_Always, ImVec2(0.5f, 0.5f));
  const ImGuiWindowFlags flags = ImGuiWindowFlags_NoDocking | ImGuiWindowFlags_AlwaysAutoResize |
                                 ImGuiWindowFlags_NoCollapse | ImGuiWindowFlags_NoMove;
  if (ImGui::Begin("Help", &context.state.show_help, flags)) {
    if (ImGui::BeginTable("keys", 2, ImGuiTableFlags_RowBg | ImGuiTableFlags_SizingFixedFit)) {
      for (const Shortcut& shortcut : Shortcuts()) {
        ImGui::TableNextRow();
        ImGui::TableNextColumn();
        ImGui::TextUnformatted(shortcut.keys);
        ImGui::TableNextColumn();
        ImGui::TextUnformatted(shortcut.help);
      }
      ImGui::EndTable();
    }
    ImGui::Separator();
    ImGui::TextUnformatted(
        "Scene: drag turns, right drag shifts, the wheel zooms, a double click resets.\n"
        "Cache: hover a cell for its frame, score and decision; click to look at that moment.\n"
        "Drag a window's title to dock it elsewhere.");
  }
  ImGui::End();
}

}  // namespace kvla
