// Draws the scene of a trace on a thread of its own, so that a slow software renderer never holds
// up the window.
#ifndef KVLA_VIEWER_SCENE_THREAD_H_
#define KVLA_VIEWER_SCENE_THREAD_H_

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "sim/specs.h"
#include "sim/world.h"

namespace kvla {

// What the state of the physics does not hold (a lamp's colour): called after each restore, on
// the scene's thread. May be empty.
using SceneDressing = std::function<void(World&)>;

// A camera that a hand steers: metres and degrees, as mjvCamera has them.
struct FreeCamera {
  std::array<double, 3> look_at = {0.38, 0.0, 0.17};
  double distance = 1.65;
  double azimuth = 155;
  double elevation = -27;

  // Moves of the mouse, as shares of the picture's height.
  void Orbit(double dx, double dy);
  void Pan(double dx, double dy);
  void Zoom(double steps);  // positive: closer

  bool operator==(const FreeCamera&) const = default;
};

struct SceneRequest {
  std::filesystem::path scene;  // MJCF
  std::shared_ptr<const std::vector<double>> state;
  std::shared_ptr<const SceneDressing> dressing;  // or null
  FreeCamera camera;
  int width = 0;  // pixels, at most kMaxSceneWidth x kMaxSceneHeight
  int height = 0;

  bool operator==(const SceneRequest&) const = default;
};

inline constexpr int kMaxSceneWidth = 1600;
inline constexpr int kMaxSceneHeight = 1200;

// All members are for one caller's thread.
class SceneThread {
 public:
  SceneThread();
  ~SceneThread();
  SceneThread(const SceneThread&) = delete;
  SceneThread& operator=(const SceneThread&) = delete;

  // Asks for a picture; replaces a request that still waits; asking again for the same does
  // nothing.
  void Request(SceneRequest request);
  // The newest picture, once. False if there is none that is new.
  bool Take(Image* image);
  // Nothing waits, nothing is being drawn.
  bool idle() const;
  // Why the last request could not be drawn, or empty.
  std::string error() const;
  // What draws, once it is known.
  std::string gl_renderer() const;

 private:
  void Run();

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool quit_ = false;
  bool waiting_ = false;
  bool busy_ = false;
  bool fresh_ = false;
  SceneRequest request_;
  Image image_;
  std::string error_;
  std::string gl_renderer_;
  std::thread thread_;
};

}  // namespace kvla

#endif  // KVLA_VIEWER_SCENE_THREAD_H_
