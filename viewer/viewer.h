// The viewer: a window over a trace source and a command queue, and nothing else of the runner.
#ifndef KVLA_VIEWER_VIEWER_H_
#define KVLA_VIEWER_VIEWER_H_

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "results/command_queue.h"
#include "results/trace.h"
#include "viewer/episode_model.h"
#include "viewer/panel_context.h"
#include "viewer/panels/panels.h"
#include "viewer/window.h"

namespace kvla {

// When to take the picture of `kvla view --screenshot`.
struct ScreenshotPlan {
  std::filesystem::path file;
  std::optional<double> after_s;  // episode time; the episode's end if it comes first
  std::optional<int> frames;      // frames drawn by the viewer
};

// For one thread. REQUIRES: `source` and `commands` outlive it.
class Viewer {
 public:
  // `commands` may be null (nothing to control). kIo when there is no display.
  static Result<std::unique_ptr<Viewer>> Create(TraceSource* source, CommandQueue* commands,
                                                ViewerHooks hooks, const WindowOptions& options);

  // Takes what the source has and draws one frame.
  void Frame();
  // Frames until the window is closed or `keep_going` says no.
  void Run(const std::function<bool()>& keep_going);
  // Frames until the plan's moment, then writes the picture. At `after_s` the playhead is put at
  // that very moment and the scene is waited for, so that the same episode gives the same picture.
  // `alive` says whether more events may come; kIo when the file cannot be written, kTimeout when
  // the moment never comes.
  Status Screenshot(const ScreenshotPlan& plan, const std::function<bool()>& alive);

  // The pixels of a frame drawn now.
  Pixels Grab();
  bool done() const { return window_->should_close() || state_.quit; }
  const EpisodeModel& model() const { return model_; }
  ViewState& state() { return state_; }
  // Where controls were drawn in the last frame, by name.
  const std::map<std::string, ImVec4>& rects() const { return rects_; }
  // Every panel shows the newest state that it was given.
  bool settled() const { return scene_.settled(); }
  const std::string& gl_renderer() const { return window_->gl_renderer(); }

 private:
  Viewer(TraceSource* source, CommandQueue* commands, ViewerHooks hooks)
      : source_(source), commands_(commands), hooks_(std::move(hooks)) {}
  void TakeEvents();
  void PlaceWindows();

  TraceSource* source_;
  CommandQueue* commands_;
  ViewerHooks hooks_;
  std::unique_ptr<Window> window_;  // before the panels: their textures need its context
  EpisodeModel model_;
  ViewState state_;
  std::map<std::string, ImVec4> rects_;
  ScenePanel scene_;
  ImagesPanel images_;
  CachePanel cache_;
  ImVec2 placed_for_{0, 0};
  std::optional<double> threshold_;
  int threshold_episode_ = 0;
  int64_t frames_ = 0;
  int taken_ = 0;  // events of the last frame
};

}  // namespace kvla

#endif  // KVLA_VIEWER_VIEWER_H_
