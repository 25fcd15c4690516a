// SPDX-License-Identifier: Apache-2.0
#include "sim/renderer.h"

#define EGL_NO_X11
#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "sim/sparse_drawer.h"

namespace kvla {
namespace {

constexpr int kMaxGeoms = 1000;

EGLDisplay OpenDisplay() {
  // Without a window system first; the default display second.
  const char* extensions = eglQueryString(EGL_NO_DISPLAY, EGL_EXTENSIONS);
  if (extensions != nullptr && std::strstr(extensions, "EGL_MESA_platform_surfaceless")) {
    auto get = reinterpret_cast<PFNEGLGETPLATFORMDISPLAYEXTPROC>(
        eglGetProcAddress("eglGetPlatformDisplayEXT"));
    if (get != nullptr) {
      EGLDisplay display = get(EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, nullptr);
      if (display != EGL_NO_DISPLAY && eglInitialize(display, nullptr, nullptr)) return display;
    }
  }
  EGLDisplay display = eglGetDisplay(EGL_DEFAULT_DISPLAY);
  if (display != EGL_NO_DISPLAY && eglInitialize(display, nullptr, nullptr)) return display;
  return EGL_NO_DISPLAY;
}

Status EglError(const char* call) {
  return IoError(fmt::format(
      "off-screen rendering: {} failed (EGL error 0x{:x}); Mesa's software renderer needs the "
      "system packages libegl1, libegl-mesa0 and libgl1-mesa-dri",
      call, eglGetError()));
}

}  // namespace

struct Renderer::Gl {
  EGLDisplay display = EGL_NO_DISPLAY;
  EGLContext context = EGL_NO_CONTEXT;
  EGLSurface surface = EGL_NO_SURFACE;
  bool has_scene = false;
  mjvScene scene;
  mjrContext render;
  mjvOption option;
  std::unique_ptr<SparseDrawer> sparse;  // without effects
  int max_width = 0, max_height = 0;
  std::vector<uint8_t> rgba;  // as OpenGL hands it over

  bool MakeCurrent() const {
    return eglGetCurrentContext() == context || eglMakeCurrent(display, surface, surface, context);
  }

  ~Gl() {
    if (context != EGL_NO_CONTEXT && MakeCurrent() && has_scene) {
      sparse.reset();
      mjr_freeContext(&render);
      mjv_freeScene(&scene);
    }
    // The display is shared by every renderer of the process: it is not terminated.
    if (display != EGL_NO_DISPLAY) {
      eglMakeCurrent(display, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
      if (surface != EGL_NO_SURFACE) eglDestroySurface(display, surface);
      if (context != EGL_NO_CONTEXT) eglDestroyContext(display, context);
    }
  }

  Status Draw(const World& world, mjvCamera camera, int width, int height, Image* out,
              const mjvPerturb* perturb = nullptr) {
    if (width < 1 || height < 1 || width > max_width || height > max_height) {
      return BadInput(
          fmt::format("an image of {}x{} was asked for; this renderer makes 1x1 to {}x{}", width,
                      height, max_width, max_height));
    }
    if (!MakeCurrent()) return EglError("eglMakeCurrent");
    mjv_updateScene(world.model(), world.data(), &option, perturb, &camera, mjCAT_ALL, &scene);
    const mjrRect viewport = {0, 0, width, height};
    if (sparse == nullptr || !sparse->Draw(viewport, &scene)) {
      mjr_render(viewport, &scene, &render);
    }
    const size_t columns = static_cast<size_t>(width), rows = static_cast<size_t>(height);
    rgba.resize(4 * columns * rows);
    mjr_readPixels(rgba.data(), nullptr, viewport, &render);
    out->width = width;
    out->height = height;
    out->rgb.resize(3 * columns * rows);
    uint8_t* to = out->rgb.data();
    for (size_t r = rows; r-- > 0;) {  // OpenGL's first row is the bottom one
      const uint8_t* from = rgba.data() + 4 * columns * r;
      for (size_t c = 0; c < columns; ++c, to += 3, from += 4) std::copy_n(from, 3, to);
    }
    if (const int error = mjr_getError(); error != 0) {
      return InternalError(fmt::format("OpenGL error 0x{:x} while drawing", error));
    }
    return {};
  }
};

Renderer::Renderer() : gl_(std::make_unique<Gl>()) {}
Renderer::~Renderer() = default;

Result<std::unique_ptr<Renderer>> Renderer::Create(const mjModel* model, int max_width,
                                                   int max_height, RenderQuality quality) {
  std::unique_ptr<Renderer> renderer(new Renderer);
  Gl& gl = *renderer->gl_;
  gl.max_width = max_width;
  gl.max_height = max_height;
  gl.display = OpenDisplay();
  if (gl.display == EGL_NO_DISPLAY) return EglError("eglInitialize");
  if (!eglBindAPI(EGL_OPENGL_API)) return EglError("eglBindAPI");
  const EGLint config_attributes[] = {EGL_SURFACE_TYPE,
                                      EGL_PBUFFER_BIT,
                                      EGL_RENDERABLE_TYPE,
                                      EGL_OPENGL_BIT,
                                      EGL_RED_SIZE,
                                      8,
                                      EGL_GREEN_SIZE,
                                      8,
                                      EGL_BLUE_SIZE,
                                      8,
                                      EGL_DEPTH_SIZE,
                                      24,
                                      EGL_STENCIL_SIZE,
                                      8,
                                      EGL_NONE};
  EGLConfig config;
  EGLint count = 0;
  if (!eglChooseConfig(gl.display, config_attributes, &config, 1, &count) || count < 1) {
    return EglError("eglChooseConfig");
  }
  gl.context = eglCreateContext(gl.display, config, EGL_NO_CONTEXT, nullptr);
  if (gl.context == EGL_NO_CONTEXT) return EglError("eglCreateContext");
  // Drawing goes to a framebuffer object; the surface only makes the context current everywhere.
  const EGLint surface_attributes[] = {EGL_WIDTH, 8, EGL_HEIGHT, 8, EGL_NONE};
  gl.surface = eglCreatePbufferSurface(gl.display, config, surface_attributes);
  if (gl.surface == EGL_NO_SURFACE) return EglError("eglCreatePbufferSurface");
  if (!gl.MakeCurrent()) return EglError("eglMakeCurrent");

  using GetString = const unsigned char* (*)(unsigned int);
  auto get_string = reinterpret_cast<GetString>(eglGetProcAddress("glGetString"));
  constexpr unsigned int kGlRenderer = 0x1F01;
  if (get_string != nullptr) {
    if (const unsigned char* name = get_string(kGlRenderer)) {
      renderer->gl_renderer_ = reinterpret_cast<const char*>(name);
    }
  }

  mjv_defaultScene(&gl.scene);
  mjr_defaultContext(&gl.render);
  mjv_defaultOption(&gl.option);
  mjv_makeScene(model, &gl.scene, kMaxGeoms);
  // MuJoCo reads the size and the samples of the off-screen buffer from the model's visual
  // settings only; they are put back at once.
  mjVisual& visual = const_cast<mjModel*>(model)->vis;
  const mjVisual saved = visual;
  visual.global.offwidth = max_width;
  visual.global.offheight = max_height;
  visual.quality.offsamples = quality.samples;
  visual.quality.shadowsize = quality.shadow_size;
  mjr_makeContext(model, &gl.render, mjFONTSCALE_100);
  visual = saved;
  gl.has_scene = true;
  mjr_setBuffer(mjFB_OFFSCREEN, &gl.render);
  if (gl.render.currentBuffer != mjFB_OFFSCREEN) {
    return IoError("off-screen rendering: this OpenGL has no framebuffer objects");
  }
  constexpr int kGlRgba = 0x1908;
  gl.render.readPixelFormat = kGlRgba;  // what the buffer holds: nothing to convert
  if (!quality.shadows && !quality.reflections && gl.render.offSamples == 0) {
    gl.sparse = std::make_unique<SparseDrawer>(model->vis, gl.render);
  }
  gl.scene.flags[mjRND_SHADOW] = quality.shadows;
  gl.scene.flags[mjRND_REFLECTION] = quality.reflections;
  gl.scene.flags[mjRND_SKYBOX] = 0;
  gl.scene.flags[mjRND_FOG] = 0;
  gl.scene.flags[mjRND_HAZE] = 0;
  return renderer;
}

bool Renderer::software() const {
  for (const char* name : {"llvmpipe", "softpipe", "swrast", "SwiftShader"}) {
    if (gl_renderer_.find(name) != std::string::npos) return true;
  }
  return false;
}

Status Renderer::Render(const World& world, const std::string& camera, int width, int height,
                        Image* out) {
  auto id = world.CameraId(camera);
  if (!id.ok()) return id.status();
  mjvCamera fixed;
  mjv_defaultCamera(&fixed);
  fixed.type = mjCAMERA_FIXED;
  fixed.fixedcamid = *id;
  out->camera = camera;
  return gl_->Draw(world, fixed, width, height, out);
}

Status Renderer::RenderFree(const World& world, const mjvCamera& camera, int width, int height,
                            Image* out, const Marks& marks) {
  out->camera = "free";
  const mjvOption plain = gl_->option;
  gl_->option.flags[mjVIS_CONTACTPOINT] = marks.contacts;
  gl_->option.flags[mjVIS_CONTACTFORCE] = marks.forces;
  gl_->option.frame = marks.frames ? mjFRAME_BODY : mjFRAME_NONE;
  mjvPerturb perturb;
  mjv_defaultPerturb(&perturb);
  perturb.select = marks.body > 0 && marks.body < world.model()->nbody ? marks.body : 0;
  std::copy(marks.pull_at.begin(), marks.pull_at.end(), perturb.localpos);
  if (marks.pulled) {
    perturb.active = mjPERT_TRANSLATE;
    std::copy(marks.pull_to.begin(), marks.pull_to.end(), perturb.refselpos);
  }
  gl_->option.flags[mjVIS_SELECT] = perturb.select > 0;
  const Status status = gl_->Draw(world, camera, width, height, out, &perturb);
  gl_->option = plain;
  return status;
}

int Renderer::BodyAt(const World& world, const mjvCamera& camera, double aspect, double x, double y,
                     std::array<double, 3>* hit) {
  mjvCamera from = camera;
  mjv_updateScene(world.model(), world.data(), &gl_->option, nullptr, &from, mjCAT_ALL,
                  &gl_->scene);
  int geom = -1, flex = -1, skin = -1;
  return mjv_select(world.model(), world.data(), &gl_->option, aspect, x, y, &gl_->scene,
                    hit->data(), &geom, &flex, &skin);
}

}  // namespace kvla
