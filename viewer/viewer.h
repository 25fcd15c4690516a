// SPDX-License-Identifier: Apache-2.0
// The viewer: a window over a feed, and nothing else of the runner.
#ifndef KVLA_VIEWER_VIEWER_H_
#define KVLA_VIEWER_VIEWER_H_

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "results/live/episode_feed.h"
#include "viewer/film.h"
#include "viewer/panel_context.h"
#include "viewer/panels/panels.h"
#include "viewer/window.h"

namespace kvla {

// When to take the picture of `kvla view --screenshot`.
struct ScreenshotPlan {
  std::filesystem::path file;
  std::optional<double> after_s;  // episode time; the episode's end if it comes first
  std::optional<int> frames;      // frames drawn by the viewer
  std::string panel;              // only this one; empty: the window
  std::string front;              // this one's tab in front; empty: as laid out
};

// For one thread. REQUIRES: `feed` outlives it.
class Viewer {
 public:
  // kIo when there is no display.
  static Result<std::unique_ptr<Viewer>> Create(EpisodeFeed* feed, ViewerHooks hooks,
                                                const WindowOptions& options);

  // Takes what the feed has and draws one frame.
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
  const std::vector<Side>& sides() const { return sides_; }
  const EpisodeModel& model() const { return sides_.front().model; }
  ViewState& state() { return state_; }
  // Where controls were drawn in the last frame, by name.
  const std::map<std::string, ImVec4>& rects() const { return rects_; }
  // Every panel shows the newest state that it was given.
  bool settled() const { return scenes_.idle() && front_in_ == 0 && forward_.empty(); }
  int64_t frames() const { return frames_; }
  int64_t scenes_drawn() const { return scenes_.drawn(); }
  const std::string& gl_renderer() const { return window_->gl_renderer(); }

 private:
  using Clock = std::chrono::steady_clock;

  Viewer(EpisodeFeed* feed, ViewerHooks hooks) : feed_(feed), hooks_(std::move(hooks)) {}
  void TakeEvents();
  // Sides follow the feed's pick; a new pick starts afresh.
  void SyncSides();
  void Advance();  // plays a replay
  // Another frame would show the same, unless the person does something.
  bool Still() const;
  void PlaceWindows();
  void Export();
  void GoOnFilming();

  EpisodeFeed* feed_;
  ViewerHooks hooks_;
  std::unique_ptr<Window> window_;  // before the panels: their textures need its context
  std::vector<Side> sides_;
  Pick shown_;
  bool synced_ = false;
  ViewState state_;
  std::map<std::string, ImVec4> rects_;
  SceneThread scenes_;
  ScenePanel scene_;
  ImagesPanel images_;
  CachePanel cache_;
  ControlsPanel controls_;
  std::unique_ptr<Film> film_;  // being made
  int64_t frames_ = 0;
  int64_t serial_ = 0;
  int front_in_ = 0;     // frames until the tabs of a fresh layout come to the front
  std::string forward_;  // the panel that comes to the front next
  int taken_ = 0;        // events of the last frame
  Clock::time_point last_frame_{}, last_refresh_{};
};

// A part of a picture: rect is x0 y0 x1 y1, cut to the picture.
Pixels Crop(const Pixels& pixels, ImVec4 rect);

}  // namespace kvla

#endif  // KVLA_VIEWER_VIEWER_H_
