// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <imgui.h>
#include <imgui_internal.h>

#include "base/files.h"
#include "viewer/actions.h"
#include "viewer/panels/panels.h"
#include "viewer/theme.h"

namespace kvla {
namespace {

void WriteChunkTables(PanelContext& context) {
  std::string written;
  for (const Side& side : context.sides) {
    const std::filesystem::path file =
        context.hooks.export_folder / (FileStem(std::span(&side, 1)) + "_chunks.csv");
    const Status status = WriteFileAtomic(
        file, ChunkTableCsv(side.model, context.inference(side.model), context.method(side)));
    if (!status.ok()) return context.Say(status.message());
    written += (written.empty() ? "" : " and ") + file.string();
  }
  context.Say("Wrote " + written);
}

void DrawExports(PanelContext& context) {
  if (!ImGui::BeginMenu("Export")) return;
  ViewState& state = context.state;
  const bool some = context.model().started();
  if (ImGui::MenuItem("Window as PNG", "F12")) state.export_window = "all";
  if (ImGui::BeginMenu("Panel as PNG")) {
    for (const char* name : kPanelWindows) {
      if (ImGui::MenuItem(name)) state.export_window = name;
    }
    ImGui::EndMenu();
  }
  if (ImGui::MenuItem("Chunk table as CSV", nullptr, false, some)) WriteChunkTables(context);
  if (ImGui::MenuItem("Episode as MP4", nullptr, false, some)) state.film_wanted = true;
  ImGui::EndMenu();
}

void DrawView(PanelContext& context) {
  if (!ImGui::BeginMenu("View")) return;
  ViewState& state = context.state;
  ImGui::MenuItem("Light theme", "F9", &state.light);
  if (ImGui::MenuItem("Reset the layout")) state.reset_layout = true;
  ImGui::Separator();
  ImGui::MenuItem("Contact points", "C", &state.overlay.contacts);
  ImGui::MenuItem("Contact forces", "F", &state.overlay.forces);
  ImGui::MenuItem("Frames of the bodies", "F6", &state.overlay.frames);
  if (ImGui::MenuItem("Free camera", "Esc", state.camera == 0)) {
    Perform(ViewerAction::kFreeCamera, context);
  }
  for (size_t c = 0; c < context.hooks.cameras.size(); ++c) {
    const std::string name = "Camera " + context.hooks.cameras[c];
    if (ImGui::MenuItem(name.c_str(), "[ ]", state.camera == static_cast<int>(c) + 1)) {
      state.camera = static_cast<int>(c) + 1;
    }
  }
  ImGui::EndMenu();
}

}  // namespace

void DrawMenu(PanelContext& context) {
  if (!ImGui::BeginMainMenuBar()) return;
  DrawExports(context);
  DrawView(context);
  if (ImGui::MenuItem("Help")) Perform(ViewerAction::kHelp, context);
  context.Mark("help");
  const ViewState& state = context.state;
  std::string right;
  if (ImGui::GetTime() < state.message_until_s) {
    right = state.message;
  } else {
    const BoundedTraceRing::Counts counts = context.feed.counts();
    const int64_t dropped = counts.dropped_steps + counts.dropped_images + counts.merged_inferences;
    right = context.feed.title();
    if (context.feed.live()) right += fmt::format(", {} display frames dropped", dropped);
  }
  const float width = ImGui::CalcTextSize(right.c_str()).x;
  const float space = ImGui::GetContentRegionAvail().x - 12;
  if (space > width) ImGui::SetCursorPosX(ImGui::GetCursorPosX() + space - width);
  ImGui::TextUnformatted(right.c_str());
  if (space <= width) ImGui::SetItemTooltip("%s", right.c_str());
  ImGui::EndMainMenuBar();
}

bool BeginPanel(PanelContext& context, const char* name, int flags) {
  // Where it is docked the window's own ground shows: every layer of the size of the window costs a
  // software renderer milliseconds.
  const ImGuiWindow* before = ImGui::FindWindowByName(name);
  if (before != nullptr && before->DockIsActive) flags |= ImGuiWindowFlags_NoBackground;
  const bool open = ImGui::Begin(name, nullptr, flags);
  const ImVec2 low = ImGui::GetWindowPos(), size = ImGui::GetWindowSize();
  if (open) {
    context.rects[std::string("window ") + name] =
        ImVec4(low.x, low.y, low.x + size.x, low.y + size.y);
  }
  return open;
}

}  // namespace kvla
