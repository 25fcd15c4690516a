// What every panel is given: what to draw, what the person has chosen, and where wishes go.
#ifndef KVLA_VIEWER_PANEL_CONTEXT_H_
#define KVLA_VIEWER_PANEL_CONTEXT_H_

#include <imgui.h>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "results/command_queue.h"
#include "results/trace.h"
#include "viewer/episode_model.h"
#include "viewer/scene_thread.h"

namespace kvla {

// What the trace does not say; each may be empty.
struct ViewerHooks {
  std::filesystem::path asset_root;  // EpisodeBegin::scene is relative to it
  std::function<SceneDressing(const EpisodeBegin&)> dressing;
  std::function<std::optional<double>(const EpisodeBegin&)> threshold;  // of the gate's score
  std::function<std::string(uint8_t)> reason;                           // of a ChunkChange
  std::function<BoundedTraceRing::Counts()> counts;                     // of a live trace
};

// What the person has chosen.
struct ViewState {
  bool paused = false;
  double speed = 1;    // times real time; 0: as fast as it goes
  bool follow = true;  // the playhead stands at the newest event
  double playhead_s = 0;
  bool show_help = false;
  bool quit = false;
};

struct PanelContext {
  const EpisodeModel& model;
  ViewState& state;
  CommandQueue* commands;  // null: nothing to control
  const ViewerHooks& hooks;
  std::optional<double> threshold;
  std::map<std::string, ImVec4>& rects;  // where controls were drawn (x0 y0 x1 y1): for tests

  double playhead_s() const { return state.follow ? model.time_s() : state.playhead_s; }
  // The inference that the playhead stands in, or -1.
  int inference() const {
    const InferencePoint* point = model.InferenceAt(playhead_s());
    return point == nullptr ? -1 : point->index;
  }
  // Right end of the time axes: grows in steps, so that cells stay legible.
  double axis_end_s() const;
  void Send(ViewerCommandKind kind, double value = 0) {
    if (commands != nullptr) commands->Push({kind, value});
  }
  // Remembers where the last item was drawn.
  void Mark(const std::string& name);
};

}  // namespace kvla

#endif  // KVLA_VIEWER_PANEL_CONTEXT_H_
