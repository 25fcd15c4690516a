// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "apps/view_flags.h"
#include "base/streams.h"
#include "base/text.h"
#include "harness/episode/suite_options.h"
#include "kv_efficient/cost_model.h"
#include "kv_efficient/methods/method_table.h"
#include "tasks/disturbance.h"
#include "viewer/viewer.h"

namespace kvla {
namespace {

// Placement, lamps and other colours of an episode, from what its trace says.
std::shared_ptr<const SceneScript> ScriptOf(const EpisodeBegin& begin,
                                            const std::filesystem::path& asset_root) {
  Result<std::unique_ptr<Task>> made = MakeTaskOf(begin, asset_root);
  // The key points into what is told, which the closures own.
  const auto told = std::make_shared<const EpisodeBegin>(begin);
  const Result<EpisodeKey> key = KeyOf(*told);
  const Result<DisturbanceLevel> level = ParseDisturbance(begin.disturbance);
  if (!made.ok() || !key.ok() || !level.ok()) return nullptr;
  std::shared_ptr<const Task> task = *std::move(made);
  const Result<Scenario> scenario = task->Draw(*key);
  if (!scenario.ok()) return nullptr;
  auto script = std::make_shared<SceneScript>();
  script->shift = [scenario = *scenario, level = *level](World& world) {
    return std::make_shared<Disturbance>(level, scenario, &world);
  };
  script->place = [task, told, key = *key](World& world) { (void)task->Place(world, key).ok(); };
  script->dress = [task, scenario = *scenario](World& world) { task->Update(world, scenario); };
  return script;
}

// Where the person's layout is kept; empty: nowhere.
std::filesystem::path LayoutFile() {
  if (const char* folder = std::getenv("XDG_CONFIG_HOME"); folder != nullptr && *folder != '\0') {
    return std::filesystem::path(folder) / "kvla" / "viewer.ini";
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    return std::filesystem::path(home) / ".config" / "kvla" / "viewer.ini";
  }
  return {};
}

double ResidentMb() {
  std::ifstream in("/proc/self/statm");
  double total = 0, resident = 0;
  in >> total >> resident;
  constexpr double kPageBytes = 4096;
  return resident * kPageBytes / 1e6;
}

// How far the episodes on display are, as the window knows it.
double NewestSeconds(const Viewer& viewer) {
  double newest = 0;
  for (const Side& side : viewer.sides()) newest = std::max(newest, side.model.time_s());
  return newest;
}

// The window is not served: no event is taken, no frame is drawn.
void Block(EpisodeFeed* feed, Viewer* viewer, double seconds) {
  const double before = NewestSeconds(*viewer);
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  viewer->Frame();
  const BoundedTraceRing::Counts counts = feed->counts();
  Print(
      "blocked for {:.1f} s: the episode went on from {:.2f} s to {:.2f} s; "
      "{} display frames dropped\n",
      seconds, before, NewestSeconds(*viewer),
      counts.dropped_steps + counts.dropped_images + counts.merged_inferences);
}

// Plays in a loop for a while and says how fast the window was drawn.
void Measure(EpisodeFeed* feed, Viewer* viewer, double seconds, double block_s) {
  using Clock = std::chrono::steady_clock;
  viewer->state().loop = true;
  viewer->state().paused = false;
  viewer->state().playhead_s = 0;
  const auto run = [&](double span) {
    const auto start = Clock::now();
    while (!viewer->done() && std::chrono::duration<double>(Clock::now() - start).count() < span) {
      viewer->Frame();
    }
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  constexpr double kWarmUp = 3;  // the first scene is loaded, fonts are baked
  run(kWarmUp);
  const int64_t frames = viewer->frames(), scenes = viewer->scenes_drawn();
  const double memory = ResidentMb();
  double took = run(seconds / 2);
  if (block_s > 0) Block(feed, viewer, block_s);
  took += run(seconds / 2);
  Print(
      "{:.1f} frames/s, {:.1f} scene pictures/s over {:.1f} s on {}; "
      "resident {:.1f} MB, {:+.1f} MB\n",
      static_cast<double>(viewer->frames() - frames) / took,
      static_cast<double>(viewer->scenes_drawn() - scenes) / took, took, viewer->gl_renderer(),
      ResidentMb(), ResidentMb() - memory);
  const double waited = feed->waited_share();
  if (waited >= 0) Print("the runner spent {:.3f}% of its time on the viewer\n", 100 * waited);
  for (const Side& side : viewer->sides()) {
    const auto& end = side.model.end();
    if (feed->live() && end.has_value()) {
      Print("{} ended in state {}\n", PrintableLine(ToString(end->id)), end->state_hash);
    }
  }
}

}  // namespace

ViewerHooks HooksOf(const RunPlan& plan, const ViewFlags& flags) {
  ViewerHooks hooks;
  hooks.asset_root = plan.asset_root;
  hooks.export_folder = flags.export_folder;
  hooks.script = [root = plan.asset_root](const EpisodeBegin& begin) {
    return ScriptOf(begin, root);
  };
  std::map<std::string, MethodTraits> methods;
  for (size_t i = 0; i < plan.caches.size(); ++i) {
    methods[plan.config.arms[i].name] = TraitsOf(plan.caches[i]);
  }
  hooks.method = [methods](const EpisodeBegin& begin) {
    const auto found = methods.find(begin.id.arm);
    return found == methods.end() ? MethodTraits() : found->second;
  };
  if (plan.max_blocks > 0) {  // the policy's config was read
    for (const PolicyCamera& camera : plan.policy.cameras) {
      hooks.cameras.push_back(camera.name);
      hooks.image_size = std::max(hooks.image_size, camera.width);
    }
    if (const std::optional<CacheGeometry>& attention = plan.policy.attention) {
      hooks.layers = attention->layers;
      hooks.attention_flops = [geometry = *attention](const EpisodeBegin&, double tokens) {
        return DecoderFlops(geometry, {}, geometry.tokens_per_block, tokens).attention;
      };
    }
  }
  return hooks;
}

Status ShowFeed(EpisodeFeed* feed, ViewerHooks hooks, const ViewFlags& flags) {
  WindowOptions window;
  window.title = "kvla: " + feed->title();
  window.width = flags.width;
  window.height = flags.height;
  window.light = flags.light;
  window.scale = static_cast<float>(flags.scale);
  const bool batch = flags.picture() || flags.measure_s.has_value();
  window.vsync = !batch;
  if (!batch) window.layout = LayoutFile();
  Result<std::unique_ptr<Viewer>> viewer = Viewer::Create(feed, std::move(hooks), window);
  if (!viewer.ok()) return viewer.status();
  if (flags.light) (*viewer)->state().light = true;
  (*viewer)->state().speed = flags.speed.value_or(flags.picture() && feed->live() ? 0 : 1);
  (*viewer)->state().loop = flags.loop;
  if (!flags.picture()) (*viewer)->Frame();  // something to look at while the policy is loaded
  const std::atomic<bool>* interrupted = CatchInterrupts();
  const auto alive = [&] { return feed->alive() && !*interrupted; };
  Status status;
  if (flags.picture()) {
    status = (*viewer)->Screenshot(
        {flags.screenshot, flags.after_s, flags.frames, flags.panel, flags.front}, alive);
  } else if (flags.measure_s.has_value()) {
    Measure(feed, viewer->get(), *flags.measure_s, flags.block_s.value_or(0));
  } else {
    (*viewer)->Run(alive);
  }
  if (*interrupted) return {StatusCode::kCancelled, "interrupted"};
  return status;
}

}  // namespace kvla
