// SPDX-License-Identifier: Apache-2.0
// Draws scenes on a thread of its own, so that a slow software renderer never holds up the window.
#ifndef KVLA_VIEWER_SCENE_THREAD_H_
#define KVLA_VIEWER_SCENE_THREAD_H_

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "sim/specs.h"
#include "sim/world.h"

namespace kvla {

// What a state of the physics does not hold. Called on the scene's thread; each may be empty.
struct SceneScript {
  // Changes of the model for the whole episode; what it returns undoes them when it goes.
  std::function<std::shared_ptr<void>(World&)> shift;
  std::function<void(World&)> place;  // puts the world at the episode's start
  std::function<void(World&)> dress;  // after each restore: colours that follow from the state
};

// A camera that a hand steers: metres and degrees, as mjvCamera has them.
struct FreeCamera {
  std::array<double, 3> look_at = {0.38, 0.0, 0.17};
  double distance = 1.65;
  double azimuth = 155;
  double elevation = -27;

  // Moves of the mouse, as shares of the picture's height.
  void Orbit(double dx, double dy);
  void Pan(double dx, double dy, bool level);  // level: over the ground instead of upright
  void Zoom(double steps);                     // positive: closer
  // A move of the mouse at the depth of `point`, as metres of the world: in the camera's plane, or
  // level with the ground.
  std::array<double, 3> Drag(const std::array<double, 3>& point, double dx, double dy,
                             bool level) const;
  // A body's quaternion, turned as a ball under the mouse.
  std::array<double, 4> Turn(const std::array<double, 4>& body, double dx, double dy) const;

  bool operator==(const FreeCamera&) const = default;
};

struct SceneOverlay {
  bool contacts = false, forces = false, frames = false;
  int selected = -1;  // a body, marked
  // Where its selected point (in the body's frame) is pulled to, world metres.
  std::optional<std::array<double, 3>> pull_to;
  std::array<double, 3> pull_at{};
  bool operator==(const SceneOverlay&) const = default;
};

struct SceneRequest {
  std::filesystem::path scene;                       // MJCF
  std::shared_ptr<const std::vector<double>> state;  // null: the start, by the script
  std::shared_ptr<const SceneScript> script;         // or null
  std::string camera;                                // of the model; empty: the free one
  FreeCamera free;
  SceneOverlay overlay;
  bool as_policy = false;  // as the policy's cameras see it: without shadows
  int width = 0;           // pixels, at most kMaxSceneWidth x kMaxSceneHeight
  int height = 0;

  bool operator==(const SceneRequest&) const = default;
};

inline constexpr int kMaxSceneWidth = 1600;
inline constexpr int kMaxSceneHeight = 1200;

// What lies under a point of a picture.
struct ScenePick {
  int body = -1;  // 0: the ground; below: nothing
  std::string name;
  bool movable = false;
  std::array<double, 3> world{};  // metres
  std::array<double, 3> local{};  // in the body's frame
  std::array<double, 4> turn{};   // the body's quaternion in the world
};

// All members are for one caller's thread. Pictures go by slot: a new request of a slot replaces
// the one that still waits.
class SceneThread {
 public:
  SceneThread();
  ~SceneThread();
  SceneThread(const SceneThread&) = delete;
  SceneThread& operator=(const SceneThread&) = delete;

  // Asking again for the same does nothing.
  void Request(int slot, SceneRequest request);
  // The newest picture of a slot, once. False if there is none that is new.
  bool Take(int slot, Image* image);
  // Asks what lies at (x, y) of the picture, in [0, 1] from the lower left; TakePick answers once.
  void RequestPick(SceneRequest request, double x, double y);
  // Asks where a picked point is in this state; TakePick answers.
  void RequestWhereabouts(SceneRequest request, const ScenePick& pick);
  std::optional<ScenePick> TakePick();
  // Nothing waits, nothing is being drawn.
  bool idle() const;
  // Why the last request could not be drawn, or empty.
  std::string error() const;
  // What draws, once it is known.
  std::string gl_renderer() const;
  // Pictures drawn since the start.
  int64_t drawn() const;

 private:
  struct Slot {
    SceneRequest request;
    bool waiting = false, fresh = false;
    Image image;
  };
  struct PickRequest {
    SceneRequest request;
    double x = 0, y = 0;
    std::optional<ScenePick> known;  // then its whereabouts are wanted
  };

  void Run();

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool quit_ = false;
  bool busy_ = false;
  std::map<int, Slot> slots_;
  int last_slot_ = -1;
  std::optional<PickRequest> pick_wanted_;
  std::optional<ScenePick> picked_;
  std::string error_;
  std::string gl_renderer_;
  int64_t drawn_ = 0;
  std::thread thread_;
};

}  // namespace kvla

#endif  // KVLA_VIEWER_SCENE_THREAD_H_
