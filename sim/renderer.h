// SPDX-License-Identifier: Apache-2.0
// Off-screen images of a World, through EGL.
#ifndef KVLA_SIM_RENDERER_H_
#define KVLA_SIM_RENDERER_H_

#include <mujoco/mujoco.h>

#include <array>
#include <memory>
#include <string>

#include "base/status.h"
#include "sim/specs.h"
#include "sim/world.h"

namespace kvla {

// How much is drawn. The policy's cameras never see shadows or reflections: they cost more than
// everything else together under software GL. Without any of it a SparseDrawer draws, with the
// same pixels as MuJoCo in about half its time.
struct RenderQuality {
  bool shadows = false;
  bool reflections = false;
  int samples = 0;         // multisampling of the offscreen buffer
  int shadow_size = 4096;  // texels a side of the shadow map
};

// One GL context. Create, use and destroy it on one thread; several threads may each have one.
class Renderer {
 public:
  // `max_width` x `max_height` bounds the images. No other thread may use `model` during the call.
  // InternalError says which EGL call failed.
  static Result<std::unique_ptr<Renderer>> Create(const mjModel* model, int max_width,
                                                  int max_height, RenderQuality quality = {});
  ~Renderer();
  Renderer(const Renderer&) = delete;
  Renderer& operator=(const Renderer&) = delete;

  // What draws, for example "llvmpipe (LLVM 15.0.6, 256 bits)".
  const std::string& gl_renderer() const { return gl_renderer_; }
  // True where the GL renderer is a software one.
  bool software() const;

  // Draws from a camera of the model. Fills `out` (reused across calls) with the top row first.
  // REQUIRES: `world` was made from the same MJCF file as `model` of Create().
  Status Render(const World& world, const std::string& camera, int width, int height, Image* out);
  // What the viewer draws over the scene.
  struct Marks {
    bool contacts = false, forces = false, frames = false;
    int body = -1;        // marked as selected
    bool pulled = false;  // with an arrow from `pull_at` (in the body's frame) to `pull_to` (world)
    std::array<double, 3> pull_at{}, pull_to{};
  };
  // The same from a camera that the caller steers (the viewer's).
  Status RenderFree(const World& world, const mjvCamera& camera, int width, int height, Image* out,
                    const Marks& marks);
  Status RenderFree(const World& world, const mjvCamera& camera, int width, int height,
                    Image* out) {
    return RenderFree(world, camera, width, height, out, Marks());
  }
  // The body under the point (x, y) of a picture with this aspect ratio, in [0, 1] from the lower
  // left, and where it was hit; -1: nothing there.
  int BodyAt(const World& world, const mjvCamera& camera, double aspect, double x, double y,
             std::array<double, 3>* hit);

 private:
  struct Gl;  // EGL handles and MuJoCo's scene and context
  Renderer();

  std::unique_ptr<Gl> gl_;
  std::string gl_renderer_;
};

}  // namespace kvla

#endif  // KVLA_SIM_RENDERER_H_
