#include <fmt/format.h>
#include <imgui.h>

#include <algorithm>

#include "viewer/panels/panels.h"

namespace kvla {

void ImagesPanel::Draw(PanelContext& context) {
  if (!ImGui::Begin(kImagesWindow)) {
    ImGui::End();
    return;
  }
  const InferencePoint* point = context.model.ImagesAt(context.playhead_s());
  if (point == nullptr) {
    ImGui::TextDisabled("no images yet");
    ImGui::End();
    return;
  }
  if (point->index != inference_ || context.model.episodes() != episode_) {
    inference_ = point->index;
    episode_ = context.model.episodes();
    while (textures_.size() < point->images.size()) {
      textures_.emplace_back(Texture::Filter::kNearest);
    }
    for (size_t i = 0; i < point->images.size(); ++i) {
      const TraceImage& image = point->images[i];
      textures_[i].Upload(image.width, image.height, image.rgb);
    }
  }
  const int count = static_cast<int>(point->images.size());
  const ImVec2 space = ImGui::GetContentRegionAvail();
  const bool column = space.y > space.x;  // else side by side
  const float line = ImGui::GetTextLineHeightWithSpacing();
  const float gap = ImGui::GetStyle().ItemSpacing.x;
  const float below = line + ImGui::GetStyle().ItemSpacing.y;  // of each image: its name
  const ImVec2 cell = column ? ImVec2(space.x, space.y / count - below)
                             : ImVec2((space.x - gap * (count - 1)) / count, space.y - below);
  for (int i = 0; i < count; ++i) {
    const TraceImage& image = point->images[i];
    if (!column && i > 0) ImGui::SameLine();
    ImGui::BeginGroup();
    const ImVec2 size = FitInto(cell, image.width, image.height);
    ImGui::Image(textures_[i].ref(), ImVec2(std::max(size.x, 8.0f), std::max(size.y, 8.0f)));
    context.Mark("image " + image.camera);
    ImGui::TextUnformatted(
        fmt::format("{}, {} x {}", image.camera, image.width, image.height).c_str());
    ImGui::EndGroup();
  }
  ImGui::End();
}

}  // namespace kvla
