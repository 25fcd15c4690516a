// SPDX-License-Identifier: Apache-2.0
#include "viewer/texture.h"

#include <GL/gl.h>

#include <algorithm>
#include <utility>

#ifndef GL_CLAMP_TO_EDGE
#define GL_CLAMP_TO_EDGE 0x812F
#endif

namespace kvla {

Texture::~Texture() {
  if (id_ != 0) glDeleteTextures(1, &id_);
}

Texture::Texture(Texture&& other) noexcept
    : filter_(other.filter_),
      id_(std::exchange(other.id_, 0)),
      width_(other.width_),
      height_(other.height_) {}

void Texture::Upload(int width, int height, std::span<const uint8_t> rgb) {
  if (width <= 0 || height <= 0 || rgb.size() < static_cast<size_t>(width) * height * 3) return;
  const bool fresh = id_ == 0;
  if (fresh) glGenTextures(1, &id_);
  glBindTexture(GL_TEXTURE_2D, id_);
  if (fresh) {
    const GLint filter = filter_ == Filter::kNearest ? GL_NEAREST : GL_LINEAR;
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_LINEAR);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, filter);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
  }
  glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
  if (fresh || width != width_ || height != height_) {
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGB8, width, height, 0, GL_RGB, GL_UNSIGNED_BYTE, rgb.data());
  } else {
    glTexSubImage2D(GL_TEXTURE_2D, 0, 0, 0, width, height, GL_RGB, GL_UNSIGNED_BYTE, rgb.data());
  }
  width_ = width;
  height_ = height;
}

ImVec2 FitInto(ImVec2 space, int width, int height) {
  if (width <= 0 || height <= 0) return ImVec2(0, 0);
  const float scale = std::max(
      0.0f, std::min(space.x / static_cast<float>(width), space.y / static_cast<float>(height)));
  return ImVec2(scale * static_cast<float>(width), scale * static_cast<float>(height));
}

}  // namespace kvla
