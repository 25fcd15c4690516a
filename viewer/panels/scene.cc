// SPDX-License-Identifier: Apache-2.0
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

// In a replay: where a person's hand pulled.
SceneOverlay OverlayOf(const PanelContext& context, const EpisodeModel& model) {
  SceneOverlay overlay = context.state.overlay;
  const CommandEvent* hand = context.feed.live() ? nullptr : model.HandAt(context.playhead_s());
  if (hand == nullptr) return overlay;
  const std::vector<double>& n = hand->numbers;
  overlay.selected = static_cast<int>(n[0]);
  if (hand->name == "turn") return overlay;
  overlay.pull_at = {n[1], n[2], n[3]};
  overlay.pull_to = {n[4], n[5], n[6]};
  return overlay;
}

std::string Title(const EpisodeModel& model) {
  const std::string& arm = model.begin().id.arm;
  return model.end().has_value() ? arm + ": " + model.end()->outcome : arm;
}

}  // namespace

void ScenePanel::Grip(PanelContext& context, size_t side, const SceneRequest& request, bool hand,
                      ImVec2 size) {
  const ImGuiIO& io = ImGui::GetIO();
  SceneOverlay& overlay = context.state.overlay;
  if (!hand) {
    if (hand_ == Hand::kPulling) {
      overlay.pull_to.reset();
      context.feed.Send(side, {ViewerCommandKind::kRelease});
    }
    hand_ = Hand::kOff;
    return;
  }
  if (hand_ == Hand::kOff) {  // the body may have moved since it was selected
    hand_ = Hand::kReaching;
    pick_for_ = PickFor::kGrip;
    context.scenes.RequestWhereabouts(request, *pick_);
  }
  const double dx = io.MouseDelta.x / size.y, dy = io.MouseDelta.y / size.y;
  if (hand_ == Hand::kReaching || (dx == 0 && dy == 0)) return;
  hand_ = Hand::kPulling;
  const auto body = static_cast<double>(pick_->body);
  ViewerCommand command;
  if (ImGui::IsMouseDown(ImGuiMouseButton_Left)) {
    pick_->turn = context.state.free.Turn(pick_->turn, dx, dy);
    command.kind = ViewerCommandKind::kTurn;
    command.pull = {body, pick_->turn[0], pick_->turn[1], pick_->turn[2], pick_->turn[3]};
  } else {
    std::array<double, 3>& to = pick_->world;
    const std::array<double, 3> moved = context.state.free.Drag(to, dx, dy, io.KeyShift);
    for (int i = 0; i < 3; ++i) to[i] += moved[i];
    overlay.pull_to = to;
    overlay.pull_at = pick_->local;
    command.kind = ViewerCommandKind::kPull;
    command.pull = {body, pick_->local[0], pick_->local[1], pick_->local[2], to[0], to[1], to[2]};
  }
  context.feed.Send(side, command);
}

void ScenePanel::TakePick(PanelContext& context) {
  const std::optional<ScenePick> pick = context.scenes.TakePick();
  if (!pick.has_value()) return;
  SceneOverlay& overlay = context.state.overlay;
  switch (pick_for_) {
    case PickFor::kCamera:
      if (pick->body >= 0) context.state.free.look_at = pick->world;
      break;
    case PickFor::kGrip:
      if (hand_ != Hand::kReaching || !pick_.has_value()) break;
      pick_ = pick;
      hand_ = Hand::kHolding;
      break;
    case PickFor::kSelection:
      pick_ = pick->body > 0 ? pick : std::nullopt;
      overlay.selected = pick_.has_value() ? pick_->body : -1;
      overlay.pull_at = pick_.has_value() ? pick_->local : std::array<double, 3>{};
      break;
  }
}

// As in MuJoCo's simulate: drag turns, right drag shifts (Shift: level), wheel or middle drag
// zooms, a double click selects, a right one looks there; with Ctrl, right drag pulls what is
// selected and left drag turns it.
void ScenePanel::Steer(PanelContext& context, size_t side, const SceneRequest& request, ImVec2 low,
                       ImVec2 size) {
  const ImGuiIO& io = ImGui::GetIO();
  FreeCamera& camera = context.state.free;
  const bool hovered = ImGui::IsItemHovered(), active = ImGui::IsItemActive();
  if (hovered && io.MouseWheel != 0) camera.Zoom(io.MouseWheel);
  const bool select = ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left);
  if (hovered && !io.KeyCtrl && (select || ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Right))) {
    pick_for_ = select ? PickFor::kSelection : PickFor::kCamera;
    context.scenes.RequestPick(request, (io.MousePos.x - low.x) / size.x,
                               1 - (io.MousePos.y - low.y) / size.y);
  }
  const bool hand = active && io.KeyCtrl && pick_.has_value() && pick_->movable &&
                    context.feed.live() && !context.model().end().has_value();
  if (active || side == hand_side_) {
    if (hand) hand_side_ = side;
    Grip(context, side, request, hand, size);
  }
  if (!active || io.KeyCtrl || hand) return;
  const double dx = io.MouseDelta.x / size.y, dy = io.MouseDelta.y / size.y;
  if (ImGui::IsMouseDragging(ImGuiMouseButton_Left)) camera.Orbit(dx, dy);
  if (ImGui::IsMouseDragging(ImGuiMouseButton_Right)) camera.Pan(dx, dy, io.KeyShift);
  constexpr double kStepsPerHeight = 10;
  if (ImGui::IsMouseDragging(ImGuiMouseButton_Middle)) camera.Zoom(-kStepsPerHeight * dy);
}

void ScenePanel::DrawView(PanelContext& context, size_t index, ImVec2 space) {
  const Side& side = context.sides[index];
  const EpisodeModel& model = side.model;
  const ImVec2 origin = ImGui::GetCursorScreenPos();
  const std::string id = fmt::format("scene {}", index);
  ImGui::InvisibleButton(id.c_str(), space,
                         ImGuiButtonFlags_MouseButtonLeft | ImGuiButtonFlags_MouseButtonRight |
                             ImGuiButtonFlags_MouseButtonMiddle);
  context.Mark(index == 0 ? "scene" : id);
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const StepPoint* step = model.StepAt(context.playhead_s());
  SceneRequest request;
  request.scene = context.hooks.asset_root / model.begin().scene;
  request.script = side.script;
  const bool start = step == nullptr && side.script != nullptr && side.script->place;
  if (step != nullptr) request.state = step->state;
  if (!model.started() || (!start && request.state == nullptr)) {
    const bool coming = !model.end().has_value() || context.feed.live();
    const std::string missing = context.feed.missing(index);
    const std::string text =
        coming ? "waiting for the first state of the episode"
               : "No scene: " + (missing.empty() ? "the run holds no states" : missing);
    ImGui::SetCursorScreenPos(ImVec2(origin.x + 8, origin.y + 8));
    ImGui::PushTextWrapPos(ImGui::GetCursorPosX() + space.x - 16);
    ImGui::TextUnformatted(text.c_str());
    ImGui::PopTextWrapPos();
    return;
  }
  const ViewState& state = context.state;
  if (state.camera > 0) request.camera = context.hooks.cameras[state.camera - 1];
  request.free = state.free;
  request.overlay = OverlayOf(context, model);
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
  const std::string hint =
      pick_.has_value() && pick_->body > 0
          ? fmt::format("selected: {}{}", pick_->name,
                        !pick_->movable       ? " (fixed)"
                        : context.feed.live() ? ", Ctrl+right drag pulls, Ctrl+drag turns"
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
  TakePick(context);
  if (context.state.overlay.selected < 0) pick_.reset();
  const auto count = static_cast<float>(context.sides.size());
  while (textures_.size() < context.sides.size()) textures_.emplace_back();
  const ImVec2 view((space.x - 2 * (count - 1)) / count, space.y);
  for (size_t i = 0; i < context.sides.size(); ++i) {
    if (i > 0) ImGui::SameLine(0, 2);
    DrawView(context, i, view);
  }
  const std::string error = context.scenes.error();
  if (!error.empty()) {
    ImGui::SetCursorScreenPos(
        ImVec2(ImGui::GetWindowPos().x + 8, ImGui::GetCursorScreenPos().y - 0.6f * space.y));
    ImGui::PushTextWrapPos(space.x - 8);
    ImGui::TextColored(AsText(colour::kVermilion), "The scene cannot be drawn: %s", error.c_str());
    ImGui::PopTextWrapPos();
  }
  ImGui::End();
}

}  // namespace kvla
