// SPDX-License-Identifier: Apache-2.0
#include "viewer/scene_thread.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/renderer.h"

namespace kvla {
namespace {

constexpr double kRadians = 3.14159265358979323846 / 180;
constexpr int kShadowSize = 1024;     // MuJoCo's 4096 cost more than all the rest in software
constexpr int kMaxPolicyImage = 256;  // pixels a side, as PolicyConfig allows

// The world and renderers of the scene drawn last; lives on the scene's thread.
struct Stage {
  std::filesystem::path scene;
  std::unique_ptr<World> world;
  std::unique_ptr<Renderer> renderer;  // after `world`: it borrows its model
  std::unique_ptr<Renderer> policy;    // made when first needed
  std::shared_ptr<void> shifted;       // after `world`: it holds changes of its model
  SceneRequest at;                     // whose state the world is in

  Status Open(const std::filesystem::path& path) {
    if (world != nullptr && scene == path) return {};
    shifted.reset();
    policy.reset();
    renderer.reset();
    world.reset();
    at = {};
    auto loaded = World::Load(path);
    if (!loaded.ok()) return loaded.status();
    world = std::move(*loaded);
    scene = path;
    auto made = Renderer::Create(world->model(), kMaxSceneWidth, kMaxSceneHeight,
                                 {.shadows = true, .shadow_size = kShadowSize});
    if (!made.ok()) {
      world.reset();
      return made.status();
    }
    renderer = std::move(*made);
    return {};
  }

  // Puts the world where the request wants it.
  Status Restore(const SceneRequest& request) {
    if (Status opened = Open(request.scene); !opened.ok()) return opened;
    const SceneScript* script = request.script.get();
    if (at.scene == request.scene && at.state == request.state && at.script == request.script) {
      return {};
    }
    if (at.script != request.script) {
      shifted.reset();
      if (script != nullptr && script->shift) shifted = script->shift(*world);
    }
    at = {};
    if (request.state != nullptr) {
      if (Status restored = world->RestoreState(*request.state); !restored.ok()) return restored;
    } else if (script != nullptr && script->place) {
      script->place(*world);
    } else if (Status reset = world->Reset(); !reset.ok()) {
      return reset;
    }
    if (script != nullptr && script->dress) script->dress(*world);
    at.scene = request.scene;
    at.state = request.state;
    at.script = request.script;
    return {};
  }

  mjvCamera CameraOf(const SceneRequest& request) const {
    mjvCamera camera;
    mjv_defaultCamera(&camera);
    if (!request.camera.empty()) {
      if (const auto id = world->CameraId(request.camera); id.ok()) {
        camera.type = mjCAMERA_FIXED;
        camera.fixedcamid = *id;
        return camera;
      }
    }
    camera.type = mjCAMERA_FREE;
    std::copy(request.free.look_at.begin(), request.free.look_at.end(), camera.lookat);
    camera.distance = request.free.distance;
    camera.azimuth = request.free.azimuth;
    camera.elevation = request.free.elevation;
    return camera;
  }

  Status Draw(const SceneRequest& request, Image* image) {
    if (Status restored = Restore(request); !restored.ok()) return restored;
    if (request.as_policy) {
      if (policy == nullptr) {
        auto made = Renderer::Create(world->model(), kMaxPolicyImage, kMaxPolicyImage);
        if (!made.ok()) return made.status();
        policy = std::move(*made);
      }
      return policy->Render(*world, request.camera, request.width, request.height, image);
    }
    const SceneOverlay& overlay = request.overlay;
    if (overlay.contacts || overlay.forces) mj_forward(world->model(), world->data());
    Renderer::Marks marks;
    marks.contacts = overlay.contacts;
    marks.forces = overlay.forces;
    marks.frames = overlay.frames;
    marks.body = overlay.selected;
    marks.pulled = overlay.pull_to.has_value();
    marks.pull_at = overlay.pull_at;
    marks.pull_to = overlay.pull_to.value_or(marks.pull_to);
    return renderer->RenderFree(*world, CameraOf(request), request.width, request.height, image,
                                marks);
  }

  void Locate(const SceneRequest& request, ScenePick* pick) {
    if (!Restore(request).ok() || pick->body >= world->model()->nbody) return;
    const mjData* data = world->data();
    mjtNum offset[3];
    mju_mulMatVec3(offset, data->xmat + 9 * pick->body, pick->local.data());
    mju_add3(pick->world.data(), data->xpos + 3 * pick->body, offset);
    std::copy_n(data->xquat + 4 * pick->body, 4, pick->turn.begin());
  }

  ScenePick Pick(const SceneRequest& request, double x, double y) {
    ScenePick pick;
    if (!Restore(request).ok()) return pick;
    const double aspect = static_cast<double>(request.width) / request.height;
    pick.body = renderer->BodyAt(*world, CameraOf(request), aspect, x, y, &pick.world);
    if (pick.body < 0) return pick;
    const mjModel* model = world->model();
    const mjData* data = world->data();
    if (const char* name = mj_id2name(model, mjOBJ_BODY, pick.body)) pick.name = name;
    pick.movable = model->body_weldid[pick.body] != 0;
    mjtNum offset[3], local[3];
    mju_sub3(offset, pick.world.data(), data->xpos + 3 * pick.body);
    mju_mulMatTVec3(local, data->xmat + 9 * pick.body, offset);
    std::copy(local, local + 3, pick.local.begin());
    std::copy_n(data->xquat + 4 * pick.body, 4, pick.turn.begin());
    return pick;
  }
};

}  // namespace

void FreeCamera::Orbit(double dx, double dy) {
  azimuth = std::remainder(azimuth - 180 * dx, 360.0);
  elevation = std::clamp(elevation - 180 * dy, -89.0, 10.0);
}

void FreeCamera::Pan(double dx, double dy, bool level) {
  const double right[2] = {std::sin(azimuth * kRadians), -std::cos(azimuth * kRadians)};
  look_at[0] -= right[0] * dx * distance;
  look_at[1] -= right[1] * dx * distance;
  if (level) {
    look_at[0] += std::cos(azimuth * kRadians) * dy * distance;
    look_at[1] += std::sin(azimuth * kRadians) * dy * distance;
  } else {
    look_at[2] = std::clamp(look_at[2] + dy * distance, -0.5, 1.5);
  }
}

void FreeCamera::Zoom(double steps) {
  distance = std::clamp(distance * std::exp(-0.1 * steps), 0.2, 6.0);
}

std::array<double, 3> FreeCamera::Drag(const std::array<double, 3>& point, double dx, double dy,
                                       bool level) const {
  const double a = azimuth * kRadians, e = elevation * kRadians;
  const std::array<double, 3> forward = {std::cos(e) * std::cos(a), std::cos(e) * std::sin(a),
                                         std::sin(e)};
  const std::array<double, 3> right = {std::sin(a), -std::cos(a), 0};
  const std::array<double, 3> up =
      level ? std::array<double, 3>{std::cos(a), std::sin(a), 0}
            : std::array<double, 3>{-std::sin(e) * std::cos(a), -std::sin(e) * std::sin(a),
                                    std::cos(e)};
  double depth = 0;
  for (int i = 0; i < 3; ++i) {
    depth += forward[i] * (point[i] - (look_at[i] - distance * forward[i]));
  }
  // MuJoCo's default field of view is 45 degrees.
  const double height = 2 * std::max(depth, 0.05) * std::tan(22.5 * kRadians);
  std::array<double, 3> moved{};
  for (int i = 0; i < 3; ++i) moved[i] = height * (right[i] * dx - up[i] * dy);
  return moved;
}

std::array<double, 4> FreeCamera::Turn(const std::array<double, 4>& body, double dx,
                                       double dy) const {
  // The near side follows the mouse: about the vertical, and about what points to the right.
  const mjtNum axis[3] = {std::sin(azimuth * kRadians) * dy, -std::cos(azimuth * kRadians) * dy,
                          dx};
  mjtNum unit[3], by[4];
  mju_copy3(unit, axis);
  const double angle = 2 * 180 * kRadians * mju_normalize3(unit);
  mju_axisAngle2Quat(by, unit, angle);
  std::array<double, 4> turned;
  mju_mulQuat(turned.data(), by, body.data());
  mju_normalize4(turned.data());
  return turned;
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

void SceneThread::Request(int slot, SceneRequest request) {
  if (request.width <= 0 || request.height <= 0) return;
  if (request.state == nullptr && request.script == nullptr) return;
  request.width = std::min(request.width, kMaxSceneWidth);
  request.height = std::min(request.height, kMaxSceneHeight);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    Slot& s = slots_[slot];
    if (request == s.request) return;
    s.request = std::move(request);
    s.waiting = true;
  }
  wake_.notify_one();
}

bool SceneThread::Take(int slot, Image* image) {
  std::lock_guard<std::mutex> lock(mutex_);
  Slot& s = slots_[slot];
  if (!s.fresh) return false;
  s.fresh = false;
  std::swap(*image, s.image);
  return true;
}

void SceneThread::RequestPick(SceneRequest request, double x, double y) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    pick_wanted_ = PickRequest{std::move(request), x, y, std::nullopt};
  }
  wake_.notify_one();
}

void SceneThread::RequestWhereabouts(SceneRequest request, const ScenePick& pick) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    pick_wanted_ = PickRequest{std::move(request), 0, 0, pick};
  }
  wake_.notify_one();
}

std::optional<ScenePick> SceneThread::TakePick() {
  std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(picked_, std::nullopt);
}

bool SceneThread::idle() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return !busy_ && std::none_of(slots_.begin(), slots_.end(),
                                [](const auto& slot) { return slot.second.waiting; });
}

std::string SceneThread::error() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return error_;
}

std::string SceneThread::gl_renderer() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return gl_renderer_;
}

int64_t SceneThread::drawn() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return drawn_;
}

void SceneThread::Run() {
  Stage stage;
  Image drawn;
  std::unique_lock<std::mutex> lock(mutex_);
  // Slots take turns.
  const auto next = [this] {
    const auto waits = [](const auto& slot) { return slot.second.waiting; };
    const auto start = slots_.upper_bound(last_slot_);
    const auto found = std::find_if(start, slots_.end(), waits);
    return found != slots_.end() ? found : std::find_if(slots_.begin(), slots_.end(), waits);
  };
  while (true) {
    wake_.wait(lock, [&] { return quit_ || pick_wanted_.has_value() || next() != slots_.end(); });
    if (quit_) return;
    busy_ = true;
    if (pick_wanted_.has_value()) {
      const PickRequest wanted = *std::exchange(pick_wanted_, std::nullopt);
      lock.unlock();
      ScenePick pick;
      if (wanted.known.has_value()) {
        pick = *wanted.known;
        stage.Locate(wanted.request, &pick);
      } else {
        pick = stage.Pick(wanted.request, wanted.x, wanted.y);
      }
      lock.lock();
      picked_ = std::move(pick);
      busy_ = false;
      continue;
    }
    const auto at = next();
    last_slot_ = at->first;
    Slot& slot = at->second;  // a map's elements stay where they are
    const SceneRequest request = slot.request;
    slot.waiting = false;
    lock.unlock();
    const Status status = stage.Draw(request, &drawn);
    lock.lock();
    busy_ = false;
    ++drawn_;
    error_ = status.message();
    if (stage.renderer != nullptr) gl_renderer_ = stage.renderer->gl_renderer();
    if (status.ok()) {
      std::swap(slot.image, drawn);
      slot.fresh = true;
    }
  }
}

}  // namespace kvla
