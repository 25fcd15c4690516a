// SPDX-License-Identifier: Apache-2.0
// An RGB8 image on the graphics card, for ImGui::Image.
#ifndef KVLA_VIEWER_TEXTURE_H_
#define KVLA_VIEWER_TEXTURE_H_

#include <imgui.h>

#include <cstdint>
#include <span>

namespace kvla {

// REQUIRES: the window's GL context is current whenever a member is called, the destructor too.
class Texture {
 public:
  enum class Filter { kNearest, kLinear };

  explicit Texture(Filter filter = Filter::kLinear) : filter_(filter) {}
  ~Texture();
  Texture(Texture&& other) noexcept;
  Texture& operator=(Texture&&) = delete;

  // `rgb` holds width * height * 3 bytes, row 0 at the top.
  void Upload(int width, int height, std::span<const uint8_t> rgb);

  bool empty() const { return id_ == 0; }
  int width() const { return width_; }
  int height() const { return height_; }
  ImTextureRef ref() const { return ImTextureRef(static_cast<ImTextureID>(id_)); }

 private:
  Filter filter_;
  unsigned int id_ = 0;
  int width_ = 0;
  int height_ = 0;
};

// The largest size with the image's aspect ratio that fits into `space`.
ImVec2 FitInto(ImVec2 space, int width, int height);

}  // namespace kvla

#endif  // KVLA_VIEWER_TEXTURE_H_
