#include "viewer/scene_thread.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/renderer.h"

namespace kvla {
namespace {

constexpr double kRadians = 3.14159265358979323846 / 180;

// The world and renderer of the scene drawn last; lives on the scene's thread.
struct Stage {
  std::filesystem::path scene;
  std::unique_ptr<World> world;
  std::unique_ptr<Renderer> renderer;  // after `world`: it borrows its model

  Status Open(const std::filesystem::path& path) {
    if (world != nullptr && scene == path) return {};
    renderer.reset();
    world.reset();
    auto loaded = World::Load(path);
    if (!loaded.ok()) return loaded.status();
    world = std::move(*loaded);
    scene = path;
    auto made =
        Renderer::Create(world->model(), kMaxSceneWidth, kMaxSceneHeight, {.shadows = true});
    if (!made.ok()) {
      world.reset();
      return made.status();
    }
    renderer = std::move(*made);
    return {};
  }

  Status Draw(const SceneRequest& request, Image* image) {
    if (Status opened = Open(request.scene); !opened.ok()) return opened;
    if (Status restored = world->RestoreState(*request.state); !restored.ok()) return restored;
    if (request.dressing != nullptr && *request.dressing) (*request.dressing)(*world);
    mjvCamera camera;
    mjv_defaultCamera(&camera);
    camera.type = mjCAMERA_FREE;
    std::copy(request.camera.look_at.begin(), request.camera.look_at.end(), camera.lookat);
    camera.distance = request.camera.distance;
    camera.azimuth = request.camera.azimuth;
    camera.elevation = request.camera.elevation;
    return renderer->RenderFree(*world, camera, request.width, request.height, image);
  }
};

}  // namespace

void FreeCamera::Orbit(double dx, double dy) {
  azimuth = std::remainder(azimuth - 180 * dx, 360.0);
  elevation = std::clamp(elevation - 180 * dy, -89.0, 10.0);
}

void FreeCamera::Pan(double dx, double dy) {
  const double right[2] = {std::sin(azimuth * kRadians), -std::cos(azimuth * kRadians)};
  look_at[0] -= right[0] * dx * distance;
  look_at[1] -= right[1] * dx * distance;
  look_at[2] = std::clamp(look_at[2] + dy * distance, -0.5, 1.5);
}

void FreeCamera::Zoom(double steps) {
  distance = std::clamp(distance * std::exp(-0.1 * steps), 0.2, 6.0);
}

SceneThread::SceneThread() : thread_([this] { Run(); }) {}

SceneThread::~SceneThread() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    quit_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void SceneThread::Request(SceneRequest request) {
  if (request.state == nullptr || request.width <= 0 || request.height <= 0) return;
  request.width = std::min(request.width, kMaxSceneWidth);
  request.height = std::min(request.height, kMaxSceneHeight);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (request == request_) return;
    request_ = std::move(request);
    waiting_ = true;
  }
  wake_.notify_one();
}

bool SceneThread::Take(Image* image) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!fresh_) return false;
  fresh_ = false;
  std::swap(*image, image_);
  return true;
}

bool SceneThread::idle() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return !waiting_ && !busy_;
}

std::string SceneThread::error() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return error_;
}

std::string SceneThread::gl_renderer() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return gl_renderer_;
}

void SceneThread::Run() {
  Stage stage;
  Image drawn;
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return quit_ || waiting_; });
    if (quit_) return;
    const SceneRequest request = request_;
    waiting_ = false;
    busy_ = true;
    lock.unlock();
    const Status status = stage.Draw(request, &drawn);
    lock.lock();
    busy_ = false;
    error_ = status.message();
    if (stage.renderer != nullptr) gl_renderer_ = stage.renderer->gl_renderer();
    if (status.ok()) {
      std::swap(image_, drawn);
      fresh_ = true;
    }
  }
}

}  // namespace kvla
