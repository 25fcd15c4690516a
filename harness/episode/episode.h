// SPDX-License-Identifier: Apache-2.0
// One closed-loop episode: world, task and policy, told as a stream of trace events.
#ifndef KVLA_HARNESS_EPISODE_EPISODE_H_
#define KVLA_HARNESS_EPISODE_EPISODE_H_

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "base/status.h"
#include "kv_efficient/methods/cache_config.h"
#include "policy/policy.h"
#include "results/trace/trace.h"
#include "sim/clock.h"
#include "sim/renderer.h"
#include "sim/world.h"
#include "tasks/disturbance.h"
#include "tasks/task.h"

namespace kvla {

// What the loop asks between control steps, for a person who watches.
enum class StepVerdict { kGo, kStop };

struct EpisodeSettings {
  std::string arm;
  CacheConfig cache;
  std::filesystem::path asset_root;  // scenes are named relative to it
  EpisodeKey key;
  Phrasing phrasing = Phrasing::kCanonical;
  DisturbanceLevel disturbance = DisturbanceLevel::kNone;
  ClockKind clock = ClockKind::kFrozen;
  double control_rate_hz = kControlRateHz;  // see Clock
  // Seconds that inference `index` takes under kSimulated.
  std::function<double(int index, const Inference&)> think_s;
  bool steps = false;   // emit StepEvents
  bool states = false;  // with the state after the step
  bool images = false;  // InferenceEvents carry what the policy saw
  // Called before each control step with whether the policy will be asked; may wait. kStop ends the
  // episode as an error ("stopped by the viewer").
  std::function<StepVerdict(bool inference_due)> before_step;
};

// What an episode says of itself before it starts; also for episodes that never could.
EpisodeBegin BeginEvent(const Task& task, const Scenario& scenario, const EpisodeSettings& settings,
                        const PolicySpec& policy);

// Runs one episode, from placement to its end. When the world goes on while the policy thinks, the
// arm holds the last target that it was given (at the start: where it is), and each control step of
// that counts as stale. `world` must be of the task's
// scene and `renderer` of the world's model; both are reset, nothing of a previous episode stays.
// Sends EpisodeBegin first and EpisodeEnd last, also when the episode ends in an error (physics
// diverged, policy failed): that is an outcome, not a bad status. A bad status means that the
// episode could not begin.
Status RunEpisode(const EpisodeSettings& settings, const Task& task, World& world,
                  Renderer& renderer, Policy& policy, Session& session, TraceSink* sink);

// Says when an arm's window is not the one that the policy was trained with; else empty.
std::string GeometryWarning(const CacheConfig& cache, const PolicySpec& policy);

}  // namespace kvla

#endif  // KVLA_HARNESS_EPISODE_EPISODE_H_
