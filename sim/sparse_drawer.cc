// SPDX-License-Identifier: Apache-2.0
#include "sim/sparse_drawer.h"

#define GL_GLEXT_PROTOTYPES
#include <GL/gl.h>
#include <GL/glext.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace kvla {
namespace {

// How far a corner may lie from where it is computed here, pixels: OpenGL rounds to 1/256.
constexpr float kSlack = 1.0f / 128;
// What that makes of twice an area between corners and points of a face, by its extent.
constexpr float kReach = 3 * kSlack;
// Quads that are looked at together, by vector instructions.
constexpr int kGroup = 8;

using Vertex = std::array<float, 6>;  // position, normal

float Dot(const float* a, const float* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// Numbers of kGroup quads.
using Floats = float __attribute__((vector_size(kGroup * sizeof(float))));
using Ints = int __attribute__((vector_size(kGroup * sizeof(int))));

void Store(Floats in, size_t first, std::vector<float>* values) {
  std::memcpy(values->data() + first, &in, sizeof(in));
}

Floats Load(const std::vector<float>& values, size_t first) {
  Floats out;
  std::memcpy(&out, values.data() + first, sizeof(out));
  return out;
}

Floats Min(Floats a, Floats b) { return a < b ? a : b; }
Floats Max(Floats a, Floats b) { return a > b ? a : b; }

// One coordinate of the corners of kGroup quads, in their order round each.
using Corners = std::array<Floats, 4>;

Corners Load(const std::vector<float>& values, size_t lower, size_t upper) {
  return {Load(values, lower), Load(values, lower + 1), Load(values, upper + 1),
          Load(values, upper)};
}

Floats Min(const Corners& c) { return Min(Min(c[0], c[1]), Min(c[2], c[3])); }
Floats Max(const Corners& c) { return Max(Max(c[0], c[1]), Max(c[2], c[3])); }

// Where the center of a pixel may lie between `from` and `to` on an axis of `size` pixels.
Ints HasCenter(Floats from, Floats to, float size) {
  // The center of pixel i lies at i + 1/2. NaN, behind the camera, becomes a number too.
  const Floats zero{};
  const Floats last = Max(Min(to + (kSlack + 0.5f), zero + size), zero);
  const Floats first = Max(from - (kSlack - 0.5f), zero + 1);
  return __builtin_convertvector(__builtin_convertvector(last, Ints), Floats) >= first;
}

void DrawQuads(const std::vector<uint32_t>& corners) {
  if (corners.empty()) return;
  glDrawElements(GL_QUADS, static_cast<GLsizei>(corners.size()), GL_UNSIGNED_INT, corners.data());
}

}  // namespace

SparseDrawer::SparseDrawer(const mjVisual& visual, const mjrContext& context)
    : context_(context), whole_boxes_(visual.quality.numquads == 1) {
  const int slices = visual.quality.numslices, stacks = visual.quality.numstacks;
  box_ = AddPart(UnitBox());
  sphere_ = AddPart(UnitSphere(slices, stacks));
  cylinder_ = AddPart(UnitCylinder(slices, stacks));
  side_ = AddPart(UnitCylinderSide(slices, stacks));
  top_ = AddPart(UnitHalfSphere(+1, slices, stacks / 2));
  bottom_ = AddPart(UnitHalfSphere(-1, slices, stacks / 2));
  for (auto* row : {&x_, &y_, &depth_}) row->resize(vertices_.size() + kGroup);
  for (auto& positions : positions_) positions.reserve(vertices_.size());
  for (const Vertex& vertex : vertices_) {
    for (size_t i = 0; i < 3; ++i) positions_[i].push_back(vertex[i]);
  }
  for (auto& positions : positions_) positions.resize(vertices_.size() + kGroup);
  UploadVertices();
  DropStencil();
}

SparseDrawer::~SparseDrawer() {
  glDeleteBuffers(1, &buffer_);
  if (depth_buffer_ != 0) glDeleteRenderbuffers(1, &depth_buffer_);
}

void SparseDrawer::UploadVertices() {
  glGenBuffers(1, &buffer_);
  glBindBuffer(GL_ARRAY_BUFFER, buffer_);
  glBufferData(GL_ARRAY_BUFFER, static_cast<GLsizeiptr>(vertices_.size() * sizeof(Vertex)),
               vertices_.data(), GL_STATIC_DRAW);
  glBindBuffer(GL_ARRAY_BUFFER, 0);
}

// Only reflections need MuJoCo's stencil; beside depths of 32 bits it makes each pixel's entry
// twice as long. The depths stay what they are.
void SparseDrawer::DropStencil() {
  GLint bits = 0;
  glBindRenderbuffer(GL_RENDERBUFFER, context_.offDepthStencil);
  glGetRenderbufferParameteriv(GL_RENDERBUFFER, GL_RENDERBUFFER_DEPTH_SIZE, &bits);
  if (bits != 32) return;
  glGenRenderbuffers(1, &depth_buffer_);
  glBindRenderbuffer(GL_RENDERBUFFER, depth_buffer_);
  glRenderbufferStorage(GL_RENDERBUFFER, GL_DEPTH_COMPONENT32F, context_.offWidth,
                        context_.offHeight);
  glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_DEPTH_STENCIL_ATTACHMENT, GL_RENDERBUFFER, 0);
  glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_DEPTH_ATTACHMENT, GL_RENDERBUFFER, depth_buffer_);
}

SparseDrawer::Part SparseDrawer::AddPart(const UnitShape& shape) {
  Part part{vertices_.size(), vertices_.size() + shape.positions.size(), shape.strips};
  for (size_t i = 0; i < shape.positions.size(); ++i) {
    const auto &p = shape.positions[i], &n = shape.normals[i];
    vertices_.push_back({p[0], p[1], p[2], n[0], n[1], n[2]});
  }
  for (UnitShape::Strip& strip : part.strips) {
    strip.lower += static_cast<int>(part.first);
    strip.upper += static_cast<int>(part.first);
  }
  return part;
}

bool SparseDrawer::Plain(const mjvScene& scene) const {
  for (const int flag : {mjRND_SHADOW, mjRND_REFLECTION, mjRND_SKYBOX, mjRND_WIREFRAME,
                         mjRND_SEGMENT, mjRND_DEPTH}) {
    if (scene.flags[flag]) return false;
  }
  if (!scene.flags[mjRND_CULL_FACE] || scene.stereo != mjSTEREO_NONE || scene.enabletransform ||
      scene.framewidth > 0 || scene.nskin > 0 || scene.camera[0].orthographic) {
    return false;
  }
  return std::all_of(scene.geoms, scene.geoms + scene.ngeom, [&](const mjvGeom& geom) {
    const bool textured =
        geom.texid >= 0 ||
        (geom.matid >= 0 && context_.mat_texid[mjNTEXROLE * geom.matid + mjTEXROLE_RGB] >= 0);
    const bool shape = (geom.type == mjGEOM_BOX && whole_boxes_ && geom.reflectance == 0) ||
                       geom.type == mjGEOM_SPHERE || geom.type == mjGEOM_ELLIPSOID ||
                       geom.type == mjGEOM_CYLINDER || geom.type == mjGEOM_CAPSULE;
    return shape && !textured && geom.rgba[3] >= 1 && geom.label[0] == '\0';
  });
}

bool SparseDrawer::Draw(mjrRect viewport, mjvScene* scene) {
  if (!Plain(*scene)) return false;
  // Clears, and leaves the camera, the lights and the state for opaque geoms set up.
  const int geoms = scene->ngeom;
  scene->ngeom = 0;
  mjr_render(viewport, scene, &context_);
  scene->ngeom = geoms;

  const Window window = WindowOf(*scene, viewport);
  const int lights = std::min(scene->nlight, mjMAXLIGHT);
  for (int i = 0; i < lights; ++i) glEnable(GL_LIGHT0 + static_cast<GLenum>(i));
  glBindBuffer(GL_ARRAY_BUFFER, buffer_);
  glEnableClientState(GL_VERTEX_ARRAY);
  glEnableClientState(GL_NORMAL_ARRAY);
  constexpr GLsizei kStride = sizeof(Vertex);
  glVertexPointer(3, GL_FLOAT, kStride, nullptr);
  // OpenGL takes an offset in the buffer as a pointer. NOLINTNEXTLINE(performance-no-int-to-ptr)
  glNormalPointer(GL_FLOAT, kStride, reinterpret_cast<const void*>(3 * sizeof(float)));
  for (int i = 0; i < geoms; ++i) DrawGeom(window, scene->geoms[i]);
  glDisableClientState(GL_NORMAL_ARRAY);
  glDisableClientState(GL_VERTEX_ARRAY);
  glBindBuffer(GL_ARRAY_BUFFER, 0);
  for (int i = 0; i < lights; ++i) glDisable(GL_LIGHT0 + static_cast<GLenum>(i));
  return true;
}

SparseDrawer::Window SparseDrawer::WindowOf(const mjvScene& scene, mjrRect viewport) const {
  const mjvGLCamera camera = mjv_averageCamera(scene.camera, scene.camera + 1);
  Window window;
  window.width = static_cast<float>(viewport.width);
  window.height = static_cast<float>(viewport.height);
  window.near = camera.frustum_near;
  const float height = camera.frustum_top - camera.frustum_bottom;
  const float width =
      camera.frustum_width > 0 ? 2 * camera.frustum_width : height * window.width / window.height;
  const float* forward = camera.forward;
  const float* up = camera.up;
  const float right[3] = {forward[1] * up[2] - forward[2] * up[1],
                          forward[2] * up[0] - forward[0] * up[2],
                          forward[0] * up[1] - forward[1] * up[0]};
  for (size_t i = 0; i < 3; ++i) {
    window.depth[i] = forward[i];
    window.x[i] = window.width * (camera.frustum_near * right[i] / width +
                                  (0.5f - camera.frustum_center / width) * forward[i]);
    window.y[i] =
        window.height * (camera.frustum_near * up[i] - camera.frustum_bottom * forward[i]) / height;
  }
  for (auto* row : {&window.x, &window.y, &window.depth}) (*row)[3] = -Dot(row->data(), camera.pos);
  return window;
}

void SparseDrawer::DrawGeom(const Window& window, const mjvGeom& geom) {
  Window local = window;  // of points in the geom's frame
  for (auto* row : {&local.x, &local.y, &local.depth}) {
    const std::array<float, 4> world = *row;
    for (size_t i = 0; i < 3; ++i) {
      (*row)[i] = world[0] * geom.mat[i] + world[1] * geom.mat[3 + i] + world[2] * geom.mat[6 + i];
    }
    (*row)[3] = Dot(world.data(), geom.pos) + world[3];
  }
  const float* size = geom.size;
  const std::array<float, 3> scale = {size[0], size[1], size[2]};
  const auto radius = static_cast<float>(0.5 * (size[0] + size[1]));
  for (auto& corners : corners_) corners.clear();
  if (geom.type == mjGEOM_CAPSULE) {
    const std::array<float, 3> half = {size[0], size[1], radius};
    Select(side_, local, scale, 0, &corners_[0]);
    Select(top_, local, half, size[2] - radius, &corners_[1]);
    Select(bottom_, local, half, radius - size[2], &corners_[2]);
  } else {
    const Part& part = geom.type == mjGEOM_BOX        ? box_
                       : geom.type == mjGEOM_CYLINDER ? cylinder_
                                                      : sphere_;
    Select(part, local, scale, 0, &corners_[0]);
  }
  if (std::ranges::all_of(corners_, &std::vector<uint32_t>::empty)) return;

  const float* rgba = geom.rgba;
  const float emission[] = {geom.emission * rgba[0], geom.emission * rgba[1],
                            geom.emission * rgba[2], 1};
  const float specular[] = {geom.specular, geom.specular, geom.specular, 1};
  glMaterialfv(GL_FRONT_AND_BACK, GL_EMISSION, emission);
  glColor4fv(rgba);
  glMaterialf(GL_FRONT_AND_BACK, GL_SHININESS, geom.shininess * 128.0f);
  glMaterialfv(GL_FRONT_AND_BACK, GL_SPECULAR, specular);
  const float* m = geom.mat;
  const float frame[16] = {m[0], m[3], m[6], 0, m[1], m[4], m[7], 0,
                           m[2], m[5], m[8], 0, 0,    0,    0,    1};
  glPushMatrix();
  glTranslatef(geom.pos[0], geom.pos[1], geom.pos[2]);
  glMultMatrixf(frame);
  glScalef(size[0], size[1], size[2]);
  DrawQuads(corners_[0]);
  if (geom.type == mjGEOM_CAPSULE) {
    glScalef(1, 1, radius / size[2]);
    glTranslatef(0, 0, (size[2] - radius) / radius);
    DrawQuads(corners_[1]);
    glTranslatef(0, 0, 2 * (radius - size[2]) / radius);
    DrawQuads(corners_[2]);
  }
  glPopMatrix();
}

void SparseDrawer::Select(const Part& part, const Window& geom, const std::array<float, 3>& scale,
                          float z, std::vector<uint32_t>* corners) {
  Window window = geom;
  for (auto* row : {&window.x, &window.y, &window.depth}) {
    (*row)[3] += z * (*row)[2];
    for (size_t i = 0; i < 3; ++i) (*row)[i] *= scale[i];
  }
  Project(part, window);
  for (const UnitShape::Strip& strip : part.strips) SelectStrip(strip, window, corners);
}

void SparseDrawer::Project(const Part& part, const Window& window) {
  for (size_t i = part.first; i < part.end; i += kGroup) {
    const Floats x = Load(positions_[0], i), y = Load(positions_[1], i), z = Load(positions_[2], i);
    const auto dot = [&](const std::array<float, 4>& a) {
      return a[0] * x + a[1] * y + a[2] * z + a[3];
    };
    const Floats depth = dot(window.depth), inverse = 1 / depth;
    Store(depth, i, &depth_);
    Store(dot(window.x) * inverse, i, &x_);
    Store(dot(window.y) * inverse, i, &y_);
  }
}

void SparseDrawer::SelectStrip(const UnitShape::Strip& strip, const Window& window,
                               std::vector<uint32_t>* corners) const {
  // What a last group reads beyond its row is not used.
  for (int first = 0; first < strip.quads; first += kGroup) {
    const int n = std::min(kGroup, strip.quads - first);
    const Corners x = Load(x_, strip.lower + first, strip.upper + first);
    const Corners y = Load(y_, strip.lower + first, strip.upper + first);
    const Corners depth = Load(depth_, strip.lower + first, strip.upper + first);
    const Floats left = Min(x), right = Max(x), low = Min(y), high = Max(y);
    Floats area = (x[2] - x[0]) * (y[3] - y[1]) - (y[2] - y[0]) * (x[3] - x[1]);
    if (strip.flipped) area = -area;
    const Ints hopeful = (area >= -kReach * (right - left + high - low)) &
                         HasCenter(left, right, window.width) & HasCenter(low, high, window.height);
    const Ints ahead = Max(depth) >= window.near;
    const Ints cut = Min(depth) < window.near;  // what is left of it has other corners
    const Ints drawn = ahead & (hopeful | cut);
    for (int k = 0; k < n; ++k) {
      if (!drawn[k]) continue;
      const auto a = static_cast<uint32_t>(strip.lower + first + k);
      const auto b = static_cast<uint32_t>(strip.upper + first + k);
      const auto c = static_cast<uint32_t>(a + 1), d = static_cast<uint32_t>(b + 1);
      const std::array<uint32_t, 4> quad =
          strip.flipped ? std::array<uint32_t, 4>{b, d, c, a} : std::array<uint32_t, 4>{a, c, d, b};
      if (cut[k] || HoldsCenter(quad, window)) {
        corners->insert(corners->end(), quad.begin(), quad.end());
      }
    }
  }
}

bool SparseDrawer::HoldsCenter(const std::array<uint32_t, 4>& quad, const Window& window) const {
  std::array<float, 4> x, y;
  for (size_t i = 0; i < 4; ++i) {
    x[i] = x_[quad[i]];
    y[i] = y_[quad[i]];
  }
  const auto [left, right] = std::ranges::minmax(x);
  const auto [low, high] = std::ranges::minmax(y);
  const float x0 = std::max(std::ceil(left - kSlack - 0.5f), 0.0f) + 0.5f;
  const float y0 = std::max(std::ceil(low - kSlack - 0.5f), 0.0f) + 0.5f;
  const float x1 = std::min(right + kSlack, window.width);
  const float y1 = std::min(high + kSlack, window.height);
  const float reach = kReach * (right - left + high - low);
  for (float py = y0; py <= y1; ++py) {
    for (float px = x0; px <= x1; ++px) {
      // Twice the area between an edge and a point: negative where the point lies outside.
      float least = 0;
      for (size_t i = 0; i < 4; ++i) {
        const size_t j = (i + 1) % 4;
        least = std::min(least, (x[j] - x[i]) * (py - y[i]) - (y[j] - y[i]) * (px - x[i]));
      }
      if (least >= -reach) return true;
    }
  }
  return false;
}

}  // namespace kvla
