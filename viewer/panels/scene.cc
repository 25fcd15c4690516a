#include <fmt/format.h>
#include <imgui.h>

#include "viewer/panels/panels.h"
#include "viewer/theme.h"

namespace kvla {

void ScenePanel::Steer(float height) {
  const ImGuiIO& io = ImGui::GetIO();
  if (ImGui::IsItemHovered() && io.MouseWheel != 0) camera_.Zoom(io.MouseWheel);
  if (ImGui::IsItemHovered() && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) camera_ = {};
  if (!ImGui::IsItemActive()) return;
  const double dx = io.MouseDelta.x / height, dy = io.MouseDelta.y / height;
  if (ImGui::IsMouseDragging(ImGuiMouseButton_Left)) camera_.Orbit(dx, dy);
  if (ImGui::IsMouseDragging(ImGuiMouseButton_Right)) camera_.Pan(dx, dy);
}

void ScenePanel::Draw(PanelContext& context) {
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(0, 0));
  const bool open = ImGui::Begin(kSceneWindow);
  ImGui::PopStyleVar();
  const ImVec2 space = ImGui::GetContentRegionAvail();
  const EpisodeModel& model = context.model;
  const StepPoint* step = model.StepAt(context.playhead_s());
  if (step == nullptr && !model.steps().empty()) step = &model.steps().front();
  settled_ = true;
  if (!open || space.x < 8 || space.y < 8 || step == nullptr || step->state == nullptr) {
    if (open) ImGui::TextDisabled("waiting for the first state of the episode");
    ImGui::End();
    return;
  }
  if (dressed_episode_ != model.episodes()) {
    dressed_episode_ = model.episodes();
    dressing_.reset();
    if (context.hooks.dressing) {
      dressing_ = std::make_shared<const SceneDressing>(context.hooks.dressing(model.begin()));
    }
  }
  scene_.Request({context.hooks.asset_root / model.begin().scene, step->state, dressing_, camera_,
                  static_cast<int>(space.x), static_cast<int>(space.y)});
  settled_ = scene_.idle();
  if (scene_.Take(&image_)) texture_.Upload(image_.width, image_.height, image_.rgb);

  const ImVec2 origin = ImGui::GetCursorScreenPos();
  ImGui::InvisibleButton("scene", space,
                         ImGuiButtonFlags_MouseButtonLeft | ImGuiButtonFlags_MouseButtonRight);
  context.Mark("scene");
  Steer(space.y);
  ImDrawList* draw = ImGui::GetWindowDrawList();
  if (!texture_.empty()) {
    const ImVec2 size = FitInto(space, texture_.width(), texture_.height());
    const ImVec2 low(origin.x + (space.x - size.x) / 2, origin.y + (space.y - size.y) / 2);
    draw->AddImage(texture_.ref(), low, ImVec2(low.x + size.x, low.y + size.y));
  }
  const std::string error = scene_.error();
  if (!error.empty()) {
    ImGui::SetCursorScreenPos(ImVec2(origin.x + 8, origin.y + 8));
    ImGui::PushTextWrapPos(space.x - 8);
    ImGui::TextColored(AsVec4(colour::kVermilion), "The scene cannot be drawn: %s", error.c_str());
    ImGui::PopTextWrapPos();
  } else if (ImGui::IsWindowHovered()) {
    const char* hint = "drag: turn   right drag: shift   wheel: closer   double click: reset";
    const ImVec2 size = ImGui::CalcTextSize(hint);
    const ImVec2 at(origin.x + 8, origin.y + space.y - size.y - 8);
    draw->AddRectFilled(ImVec2(at.x - 4, at.y - 2), ImVec2(at.x + size.x + 4, at.y + size.y + 2),
                        IM_COL32(0, 0, 0, 160), 3);
    draw->AddText(at, IM_COL32_WHITE, hint);
  }
  ImGui::End();
}

}  // namespace kvla
