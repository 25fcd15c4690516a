// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <imgui.h>

#include <algorithm>

#include "viewer/panels/panels.h"

namespace kvla {

void ImagesPanel::DrawImage(PanelContext& context, size_t index, size_t camera, ImVec2 cell) {
  const Side& side = context.sides[index];
  const EpisodeModel& model = side.model;
  Shown& shown = shown_[index][camera];
  const InferencePoint* point = model.ImagesAt(context.playhead_s());
  const int now = context.inference(model);
  std::string name;
  bool known = true;  // what the policy saw at that moment
  if (point != nullptr && camera < point->images.size()) {
    const TraceImage& image = point->images[camera];
    name = image.camera;
    if (shown.serial != side.serial || shown.inference != point->index) {
      shown.texture.Upload(image.width, image.height, image.rgb);
      shown.serial = side.serial;
      shown.inference = point->index;
    }
  } else if (camera < context.hooks.cameras.size() && context.hooks.image_size > 0) {
    name = context.hooks.cameras[camera];
    SceneRequest request = context.FrameScene(side, std::max(now, 0));
    request.camera = name;
    request.as_policy = true;
    request.width = request.height = context.hooks.image_size;
    const int slot = kImageSlot + 10 * static_cast<int>(index) + static_cast<int>(camera);
    known = !request.scene.empty();
    if (known) context.scenes.Request(slot, request);
    if (context.scenes.Take(slot, &image_)) {
      shown.texture.Upload(image_.width, image_.height, image_.rgb);
    }
  }
  ImGui::BeginGroup();
  if (shown.texture.empty() || !known) {
    ImGui::Dummy(ImVec2(std::max(cell.x, 8.0f), std::max(cell.y, 8.0f)));
  } else {
    const ImVec2 size = FitInto(cell, shown.texture.width(), shown.texture.height());
    ImGui::Image(shown.texture.ref(), ImVec2(std::max(size.x, 8.0f), std::max(size.y, 8.0f)));
    ImGui::SetItemTooltip("%s",
                          fmt::format("{}, {} x {} pixels, as the policy saw it at "
                                      "inference {}",
                                      name, shown.texture.width(), shown.texture.height(), now)
                              .c_str());
  }
  context.Mark(fmt::format("image {}{}", name, index > 0 ? " 2" : ""));
  ImGui::TextUnformatted((context.sides.size() > 1 ? model.begin().id.arm : name).c_str());
  ImGui::EndGroup();
}

void ImagesPanel::Draw(PanelContext& context) {
  if (!BeginPanel(context, kImagesWindow)) {
    ImGui::End();
    return;
  }
  size_t cameras = context.hooks.cameras.size();
  for (const Side& side : context.sides) {
    const InferencePoint* point = side.model.ImagesAt(context.playhead_s());
    if (point != nullptr) cameras = std::max(cameras, point->images.size());
  }
  if (cameras == 0 || !context.model().started()) {
    ImGui::TextDisabled("no images yet");
    ImGui::End();
    return;
  }
  shown_.resize(std::max(shown_.size(), context.sides.size()));
  for (auto& side : shown_) {
    while (side.size() < cameras) side.emplace_back();
  }
  // Cameras run along the longer edge, sides across it.
  const ImVec2 space = ImGui::GetContentRegionAvail();
  const bool down = space.y > space.x;
  const size_t sides = context.sides.size();
  const size_t columns = down ? sides : cameras, rows = down ? cameras : sides;
  const float gap = ImGui::GetStyle().ItemSpacing.x, line = ImGui::GetTextLineHeightWithSpacing();
  const float below = line + ImGui::GetStyle().ItemSpacing.y;  // of each image: its name
  const ImVec2 cell((space.x - gap * static_cast<float>(columns - 1)) / static_cast<float>(columns),
                    space.y / static_cast<float>(rows) - below);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < columns; ++c) {
      if (c > 0) ImGui::SameLine();
      DrawImage(context, down ? c : r, down ? r : c, cell);
    }
  }
  ImGui::End();
}

}  // namespace kvla
