#include <fmt/format.h>
#include <imgui.h>

#include <algorithm>

#include "viewer/panels/panels.h"
#include "viewer/theme.h"

namespace kvla {
namespace {

// A line of text on a dark ground, so that it is legible over any picture.
void Caption(ImDrawList* draw, ImVec2 at, const std::string& text, ImU32 colour) {
  const ImVec2 size = ImGui::CalcTextSize(text.c_str());
  draw->AddRectFilled(ImVec2(at.x - 4, at.y - 2), ImVec2(at.x + size.x + 4, at.y + size.y + 2),
                      IM_COL32(0, 0, 0, 170), 3);
  draw->AddText(at, colour, text.c_str());
}

ImU32 OutcomeColour(const EpisodeModel& model) {
  if (!model.end().has_value()) return IM_COL32_WHITE;
  if (model.end()->outcome == "error") return colour::kYellow;
  return model.end()->success ? IM_COL32(0x40, 0xD0, 0xA0, 255) : IM_COL32(0xFF, 0x90, 0x40, 255);
}

std::string Title(const EpisodeModel& model) {
  const std::string& arm = model.begin().id.arm;
  return model.end().has_value() ? arm + ": " + model.end()->outcome : arm;
}

}  // namespace

// As in MuJoCo's simulate: drag turns, right drag shifts, the wheel zooms, a double click selects,
// Ctrl and a drag pulls what is selected.
void ScenePanel::Steer(PanelContext& context, size_t lane, const SceneRequest& request, ImVec2 low,
                       ImVec2 size) {
  const ImGuiIO& io = ImGui::GetIO();
  ViewState& state = context.state;
  const bool hovered = ImGui::IsItemHovered();
  if (hovered && io.MouseWheel != 0) state.free.Zoom(io.MouseWheel);
  if (hovered && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) {
    context.scenes.RequestPick(request, (io.MousePos.x - low.x) / size.x,
                               1 - (io.MousePos.y - low.y) / size.y);
  }
  const bool active = ImGui::IsItemActive();
  const bool pull = active && io.KeyCtrl && pick_.has_value() && pick_->movable &&
                    context.feed.live() && !context.model().end().has_value();
  SceneOverlay& overlay = state.overlay;
  if (pull && (io.MouseDelta.x != 0 || io.MouseDelta.y != 0 || !overlay.pull_to.has_value())) {
    std::array<double, 3> to = overlay.pull_to.value_or(pick_->world);
    const std::array<double, 3> moved =
        state.free.Drag(to, io.MouseDelta.x / size.y, io.MouseDelta.y / size.y);
    for (int i = 0; i < 3; ++i) to[i] += moved[i];
    overlay.pull_to = to;
    overlay.pull_at = pick_->local;
    ViewerCommand command{ViewerCommandKind::kPull};
    command.pull = {static_cast<double>(pick_->body),
                    pick_->local[0],
                    pick_->local[1],
                    pick_->local[2],
                    to[0],
                    to[1],
                    to[2]};
    context.feed.Send(lane, command);
    pulling_ = true;
  }
  if (pulling_ && !active) {
    pulling_ = false;
    overlay.pull_to.reset();
    context.feed.Send(lane, {ViewerCommandKind::kRelease});
  }
  if (!active || io.KeyCtrl || pulling_) return;
  const double dx = io.MouseDelta.x / size.y, dy = io.MouseDelta.y / size.y;
  if (ImGui::IsMouseDragging(ImGuiMouseButton_Left)) state.free.Orbit(dx, dy);
  if (ImGui::IsMouseDragging(ImGuiMouseButton_Right)) state.free.Pan(dx, dy);
}

void ScenePanel::DrawView(PanelContext& context, size_t index, ImVec2 space) {
  const Lane& lane = context.lanes[index];
  const EpisodeModel& model = lane.model;
  const ImVec2 origin = ImGui::GetCursorScreenPos();
  const std::string id = fmt::format("scene {}", index);
  ImGui::InvisibleButton(id.c_str(), space,
                         ImGuiButtonFlags_MouseButtonLeft | ImGuiButtonFlags_MouseButtonRight);
  context.Mark(index == 0 ? "scene" : id);
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const StepPoint* step = model.StepAt(context.playhead_s());
  SceneRequest request;
  request.scene = context.hooks.asset_root / model.begin().scene;
  request.script = lane.script;
  const bool start = step == nullptr && lane.script != nullptr && lane.script->place;
  if (step != nullptr) request.state = step->state;
  if (!model.started() || (!start && request.state == nullptr)) {
    const bool stored = !model.end().has_value() || context.feed.live();
    Caption(draw, ImVec2(origin.x + 8, origin.y + 8),
            stored ? "waiting for the first state of the episode"
                   : "no states in this run: evaluate it with --set trace=full to see the scene",
            IM_COL32_WHITE);
    return;
  }
  const ViewState& state = context.state;
  if (state.camera > 0) request.camera = context.hooks.cameras[state.camera - 1];
  request.free = state.free;
  request.overlay = state.overlay;
  request.width = static_cast<int>(space.x);
  request.height = static_cast<int>(space.y);
  context.scenes.Request(kSceneSlot + static_cast<int>(index), request);
  Steer(context, index, request, origin, space);
  Texture& texture = textures_[index];
  if (context.scenes.Take(kSceneSlot + static_cast<int>(index), &image_)) {
    texture.Upload(image_.width, image_.height, image_.rgb);
  }
  if (!texture.empty()) {
    const ImVec2 size = FitInto(space, texture.width(), texture.height());
    const ImVec2 low(origin.x + (space.x - size.x) / 2, origin.y + (space.y - size.y) / 2);
    draw->AddImage(texture.ref(), low, ImVec2(low.x + size.x, low.y + size.y));
  }
  Caption(draw, ImVec2(origin.x + 8, origin.y + 6), Title(model), OutcomeColour(model));
  const std::string hint = pick_.has_value() && pick_->body > 0
                               ? fmt::format("selected: {}{}", pick_->name,
                                             !pick_->movable       ? " (fixed)"
                                             : context.feed.live() ? ", Ctrl+drag pulls it"
                                                                   : "")
                               : "drag: turn  right drag: shift  wheel: zoom  double click: select";
  if (ImGui::IsWindowHovered() || pick_.has_value()) {
    Caption(draw, ImVec2(origin.x + 8, origin.y + space.y - ImGui::GetTextLineHeight() - 6), hint,
            IM_COL32_WHITE);
  }
}

void ScenePanel::Draw(PanelContext& context) {
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(0, 0));
  const bool open = BeginPanel(context, kSceneWindow);
  ImGui::PopStyleVar();
  const ImVec2 space = ImGui::GetContentRegionAvail();
  if (!open || space.x < 16 || space.y < 16) {
    ImGui::End();
    return;
  }
  if (const auto pick = context.scenes.TakePick()) {
    pick_ = pick->body > 0 ? pick : std::nullopt;
    context.state.overlay.selected = pick_.has_value() ? pick_->body : -1;
    context.state.overlay.pull_at = pick_.has_value() ? pick_->local : std::array<double, 3>{};
  }
  if (context.state.overlay.selected < 0) pick_.reset();
  const auto count = static_cast<float>(context.lanes.size());
  while (textures_.size() < context.lanes.size()) textures_.emplace_back();
  const ImVec2 view((space.x - 2 * (count - 1)) / count, space.y);
  for (size_t i = 0; i < context.lanes.size(); ++i) {
    if (i > 0) ImGui::SameLine(0, 2);
    DrawView(context, i, view);
  }
  const std::string error = context.scenes.error();
  if (!error.empty()) {
    ImGui::SetCursorScreenPos(
        ImVec2(ImGui::GetWindowPos().x + 8, ImGui::GetCursorScreenPos().y - 0.6f * space.y));
    ImGui::PushTextWrapPos(space.x - 8);
    ImGui::TextColored(AsVec4(colour::kVermilion), "The scene cannot be drawn: %s", error.c_str());
    ImGui::PopTextWrapPos();
  }
  ImGui::End();
}

}  // namespace kvla
