// SPDX-License-Identifier: Apache-2.0
// What every panel is given: what to draw, what the person has chosen, and where wishes go.
#ifndef KVLA_VIEWER_PANEL_CONTEXT_H_
#define KVLA_VIEWER_PANEL_CONTEXT_H_

#include <imgui.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "results/live/episode_feed.h"
#include "viewer/cue_story.h"
#include "viewer/episode_model.h"
#include "viewer/scene_thread.h"

namespace kvla {

// What the trace does not say; each may be empty.
struct ViewerHooks {
  std::filesystem::path asset_root;  // EpisodeBegin::scene is relative to it
  std::function<std::shared_ptr<const SceneScript>(const EpisodeBegin&)> script;
  // Of episodes that do not say what their method can do (EpisodeBegin::method).
  std::function<MethodTraits(const EpisodeBegin&)> method;
  // FLOPs of an inference's attention over so many tokens.
  std::function<double(const EpisodeBegin&, double tokens)> attention_flops;
  std::vector<std::string> cameras;  // of the policy, to render stored states again
  int image_size = 0;
  int layers = 0;  // of the policy; 0: not known
  std::filesystem::path export_folder = ".";
};

// One episode on display.
struct Side {
  EpisodeModel model;
  int episode = 0;     // model.episodes() when the rest was asked for
  int64_t serial = 0;  // another one for every episode ever shown
  std::shared_ptr<const SceneScript> script;
  MethodTraits method;  // its threshold as configured
};

// What the person has chosen.
struct ViewState {
  bool paused = false;
  double speed = 1;    // times real time; 0: as fast as it goes
  bool follow = true;  // the playhead stands at the newest event
  double playhead_s = 0;
  bool loop = false;
  size_t side = 0;  // whose details are shown
  bool light = false;
  bool show_help = false;
  bool reset_layout = false;
  bool quit = false;
  FreeCamera free;
  int camera = 0;  // 0: the free one; else of ViewerHooks::cameras
  SceneOverlay overlay;
  std::string export_window;  // to be written as PNG at the end of the frame; "all": everything
  bool film_wanted = false;   // the episode as MP4
  std::string message;        // for a few seconds
  double message_until_s = 0;
};

struct PanelContext {
  std::vector<Side>& sides;
  ViewState& state;
  EpisodeFeed& feed;
  const ViewerHooks& hooks;
  SceneThread& scenes;
  std::map<std::string, ImVec4>& rects;  // where controls were drawn (x0 y0 x1 y1): for tests

  Side& side() const { return sides[std::min(state.side, sides.size() - 1)]; }
  const EpisodeModel& model() const { return side().model; }
  // The newest moment that every side has reached, or the end of the longest when all have ended.
  double newest_s() const;
  double playhead_s() const { return state.follow ? newest_s() : state.playhead_s; }
  double end_s() const;  // of the longest side
  // The inference that the playhead stands in, or -1.
  int inference(const EpisodeModel& model) const {
    const InferencePoint* point = model.InferenceAt(playhead_s());
    return point == nullptr ? -1 : point->index;
  }
  int inference() const { return inference(model()); }
  // With the threshold in force at the playhead: a person may have changed it.
  MethodTraits method(const Side& side) const;
  CueStory story(const Side& side) const {
    return TellCue(side.model, inference(side.model), method(side));
  }
  // Right end of the time axes: grows in steps, so that cells stay legible.
  double axis_end_s() const;
  void Seek(double time_s);  // moves the playhead
  void Send(ViewerCommandKind kind, double value = 0);
  // The state that frame block `inference` of a side was seen in; an empty scene: not stored.
  SceneRequest FrameScene(const Side& side, int inference) const;
  void Say(const std::string& message);
  // Remembers where the last item was drawn.
  void Mark(const std::string& name);
};

// "gated_recall_color_long_seed3", for files; two sides: the arms of both.
std::string FileStem(std::span<const Side> sides);

}  // namespace kvla

#endif  // KVLA_VIEWER_PANEL_CONTEXT_H_
