// The viewer's panels. Each draws one docked window from the context and keeps no more than its
// textures and its camera.
#ifndef KVLA_VIEWER_PANELS_PANELS_H_
#define KVLA_VIEWER_PANELS_PANELS_H_

#include <memory>
#include <string>
#include <vector>

#include "viewer/panel_context.h"
#include "viewer/scene_thread.h"
#include "viewer/texture.h"

namespace kvla {

// Names of the docked windows, which the layout places.
inline constexpr const char* kTransportWindow = "Transport";
inline constexpr const char* kSceneWindow = "Scene";
inline constexpr const char* kImagesWindow = "Policy's view";
inline constexpr const char* kInfoWindow = "Episode";
inline constexpr const char* kLatencyWindow = "Latency";
inline constexpr const char* kMemoryWindow = "KV memory";
inline constexpr const char* kCacheWindow = "Cache";

// Play, pause, steps, speed, scrubbing.
void DrawTransport(PanelContext& context);

// Instruction, stages, outcome, counts.
void DrawInfo(PanelContext& context);

// Time of each inference by part, and KV bytes, over the episode.
void DrawLatency(PanelContext& context);
void DrawMemory(PanelContext& context);

// The shortcuts, over everything else.
void DrawHelp(PanelContext& context);

// The scene at the playhead, from a camera that the mouse steers.
class ScenePanel {
 public:
  void Draw(PanelContext& context);
  // The picture on display is that of the newest request.
  bool settled() const { return settled_; }

 private:
  void Steer(float height);

  SceneThread scene_;
  Texture texture_;
  Image image_;
  FreeCamera camera_;
  bool settled_ = false;
  int dressed_episode_ = 0;
  std::shared_ptr<const SceneDressing> dressing_;
};

// What the policy's cameras showed it.
class ImagesPanel {
 public:
  void Draw(PanelContext& context);

 private:
  std::vector<Texture> textures_;
  int episode_ = 0;
  int inference_ = -1;
};

// The strip of chunks, and the gate's scores under it on the same time axis.
class CachePanel {
 public:
  void Draw(PanelContext& context);

 private:
  void DrawLegend(PanelContext& context);
  void DrawShare(PanelContext& context);
  void DrawStrip(PanelContext& context);
  void DrawScores(PanelContext& context);
  void DrawTooltip(PanelContext& context, const ChunkTrack& chunk);

  Texture thumbnail_{Texture::Filter::kNearest};
};

}  // namespace kvla

#endif  // KVLA_VIEWER_PANELS_PANELS_H_
