// SPDX-License-Identifier: Apache-2.0
// Draws a plain scene without the faces that no pixel shows.
#ifndef KVLA_SIM_SPARSE_DRAWER_H_
#define KVLA_SIM_SPARSE_DRAWER_H_

#include <mujoco/mujoco.h>

#include <array>
#include <cstdint>
#include <vector>

#include "sim/unit_shapes.h"

namespace kvla {

// In a small image most faces of a round geom are smaller than a pixel or turned away: software GL
// computes all of them, and throws them away. Here the others alone are handed to OpenGL, by the
// calls and with the numbers of mjr_render(): the image is the same, bit for bit.
// Belongs to the GL context of `context`, which must be current in every call and at the end.
// `context` draws into its offscreen buffer, without multisampling and without reflections.
class SparseDrawer {
 public:
  // `visual` is the model's, as it was when `context` was made.
  SparseDrawer(const mjVisual& visual, const mjrContext& context);
  ~SparseDrawer();
  SparseDrawer(const SparseDrawer&) = delete;
  SparseDrawer& operator=(const SparseDrawer&) = delete;

  // What mjr_render() draws of the scene. False, and nothing drawn, where the scene has more than
  // opaque primitive shapes of one color seen in perspective, or an effect is on.
  bool Draw(mjrRect viewport, mjvScene* scene);

 private:
  // A range of the vertices, and its faces: rows count from the first vertex of all.
  struct Part {
    size_t first = 0, end = 0;
    std::vector<UnitShape::Strip> strips;
  };
  // Of a point p: window x and y are (x . p) / (depth . p) and (y . p) / (depth . p), pixels; p has
  // a fourth coordinate, 1.
  struct Window {
    std::array<float, 4> x{}, y{}, depth{};
    float width = 0, height = 0, near = 0;
  };

  Part AddPart(const UnitShape& shape);
  void UploadVertices();
  void DropStencil();
  bool Plain(const mjvScene& scene) const;
  Window WindowOf(const mjvScene& scene, mjrRect viewport) const;
  void DrawGeom(const Window& window, const mjvGeom& geom);
  // Puts the corners of the part's quads to draw into `corners`. `geom` takes points of the geom's
  // frame; the part is scaled and then moved along the z axis there.
  void Select(const Part& part, const Window& geom, const std::array<float, 3>& scale, float z,
              std::vector<uint32_t>* corners);
  // Computes x_, y_ and depth_ of the part's corners.
  void Project(const Part& part, const Window& window);
  void SelectStrip(const UnitShape::Strip& strip, const Window& window,
                   std::vector<uint32_t>* corners) const;
  // Whether the center of a pixel lies in the quad, seen from outside. In doubt it does.
  bool HoldsCenter(const std::array<uint32_t, 4>& quad, const Window& window) const;

  const mjrContext& context_;
  const bool whole_boxes_;                       // each side is one face
  std::vector<std::array<float, 6>> vertices_;   // position, normal
  std::array<std::vector<float>, 3> positions_;  // x, y and z of every vertex
  Part box_, sphere_, cylinder_, side_, top_, bottom_;
  unsigned int buffer_ = 0;  // vertices_, in OpenGL's hands
  unsigned int depth_buffer_ = 0;
  std::vector<float> x_, y_, depth_;  // in the window, of each vertex of the part at hand
  std::array<std::vector<uint32_t>, 3> corners_;  // to draw of each part of the geom at hand
};

}  // namespace kvla

#endif  // KVLA_SIM_SPARSE_DRAWER_H_
