// SPDX-License-Identifier: Apache-2.0
// The viewer's panels. Each draws one docked window from the context and keeps no more than its
// textures and what the mouse is doing.
#ifndef KVLA_VIEWER_PANELS_PANELS_H_
#define KVLA_VIEWER_PANELS_PANELS_H_

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "viewer/panel_context.h"
#include "viewer/texture.h"

namespace kvla {

// Names of the docked windows, which the layout places.
inline constexpr const char* kTransportWindow = "Transport";
inline constexpr const char* kSceneWindow = "Scene";
inline constexpr const char* kImagesWindow = "Policy's view";
inline constexpr const char* kOutcomeWindow = "Episode";
inline constexpr const char* kActionsWindow = "Actions";
inline constexpr const char* kControlsWindow = "Controls";
inline constexpr const char* kLatencyWindow = "Latency";
inline constexpr const char* kMemoryWindow = "KV memory";
inline constexpr const char* kFlopsWindow = "FLOPs";
inline constexpr const char* kStalenessWindow = "Staleness";
inline constexpr const char* kCacheWindow = "Cache";
inline constexpr const char* kLayersWindow = "Layers";
inline constexpr const char* kPanelWindows[] = {kTransportWindow, kSceneWindow,   kImagesWindow,
                                                kOutcomeWindow,   kActionsWindow, kControlsWindow,
                                                kLatencyWindow,   kMemoryWindow,  kFlopsWindow,
                                                kStalenessWindow, kCacheWindow,   kLayersWindow};

// ImGui::Begin, and where the window is drawn, for exports ("window Cache").
bool BeginPanel(PanelContext& context, const char* name, int flags = 0);

// The bar over everything: exports, theme, layout, help; right: what is shown.
void DrawMenu(PanelContext& context);

// Play, pause, steps, speed, pickers, scrubbing.
void DrawTransport(PanelContext& context);

// Why it went as it did, stages, outcome, facts.
void DrawOutcome(PanelContext& context);

// What the policy wanted against what was executed.
void DrawActions(PanelContext& context);

// Settings of a live cache.
class ControlsPanel {
 public:
  void Draw(PanelContext& context);

 private:
  void DrawSetting(PanelContext& context, const LiveSetting& setting);
  std::string editing_;  // the setting under the mouse, whose value is not sent yet
  double value_ = 0;
};

// Time of each inference by part, KV bytes and FLOPs, over the episode.
void DrawLatency(PanelContext& context);
void DrawMemory(PanelContext& context);
void DrawFlops(PanelContext& context);
// Under clocks that do not wait: how long the world went on with old targets.
void DrawStaleness(PanelContext& context);

// The shortcuts, over everything else.
void DrawHelp(PanelContext& context);

// Slots of the scene thread.
inline constexpr int kSceneSlot = 0;   // + side
inline constexpr int kImageSlot = 10;  // + 10 * side + camera
inline constexpr int kThumbnailSlot = 100;

// The scene at the playhead, a view a side, from a camera that the mouse steers.
class ScenePanel {
 public:
  void Draw(PanelContext& context);

 private:
  void DrawView(PanelContext& context, size_t side, ImVec2 space);
  void Steer(PanelContext& context, size_t side, const SceneRequest& request, ImVec2 low,
             ImVec2 size);

  std::vector<Texture> textures_;
  Image image_;
  // With Ctrl the mouse is a hand on the selected body.
  void Grip(PanelContext& context, size_t side, const SceneRequest& request, bool hand,
            ImVec2 size);
  void TakePick(PanelContext& context);

  std::optional<ScenePick> pick_;  // the selected body
  // What the pick under way is for.
  enum class PickFor { kSelection, kCamera, kGrip } pick_for_ = PickFor::kSelection;
  enum class Hand { kOff, kReaching, kHolding, kPulling } hand_ = Hand::kOff;
  size_t hand_side_ = 0;  // whose body it holds
};

// What the policy's cameras showed it: from the live trace, or rendered again from stored states.
class ImagesPanel {
 public:
  void Draw(PanelContext& context);

 private:
  struct Shown {
    Texture texture{Texture::Filter::kNearest};
    int64_t serial = -1;
    int inference = -1;
  };
  void DrawImage(PanelContext& context, size_t side, size_t camera, ImVec2 cell);

  std::vector<std::vector<Shown>> shown_;  // by side and camera
  Image image_;
};

// A strip of chunks for each side, and their scores under it on the same time axis.
class CachePanel {
 public:
  void Draw(PanelContext& context);

 private:
  void DrawStrip(PanelContext& context, size_t side, float height, bool ticks);
  void DrawTooltip(PanelContext& context, const Side& side, const ChunkTrack& chunk);

  Texture thumbnail_{Texture::Filter::kNearest};
  Image image_;
};

// Scores of the chunks of all sides that have any, over the time of the chunks' frames. `lead_s`:
// room to the left of 0. REQUIRES: a side has scores.
void DrawScores(PanelContext& context, double lead_s);

// Layer x chunk: scores, and beside them the attention that each chunk receives.
void DrawLayers(PanelContext& context);

}  // namespace kvla

#endif  // KVLA_VIEWER_PANELS_PANELS_H_
