// SPDX-License-Identifier: Apache-2.0
// What the files of `kvla view` share.
#ifndef KVLA_APPS_VIEW_FLAGS_H_
#define KVLA_APPS_VIEW_FLAGS_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/app_context.h"
#include "harness/eval/run_config.h"
#include "viewer/panel_context.h"

namespace kvla {

struct ViewFlags {
  std::string what;  // a run's folder, or a config
  std::string task, delay, arm, screenshot, panel, front, out, export_folder = ".";
  std::vector<std::string> arms, overrides;
  std::optional<int> seed, frames;
  std::optional<double> after_s, speed, measure_s, block_s;
  double scale = 0;
  int width = 1280, height = 720;
  bool light = false, follow = false, loop = false;

  bool picture() const { return !screenshot.empty(); }
  // The arms asked for, by whichever flag.
  std::vector<std::string> WantedArms() const {
    return arms.empty() && !arm.empty() ? std::vector<std::string>{arm} : arms;
  }
};

// What the viewer cannot know from the trace: scenes, thresholds, the policy's cameras.
ViewerHooks HooksOf(const RunPlan& plan, const ViewFlags& flags);

// Shows a feed until the window is closed, or takes the picture that the flags ask for.
class EpisodeFeed;
Status ShowFeed(EpisodeFeed* feed, ViewerHooks hooks, const ViewFlags& flags);

Status ViewReplay(const AppContext& context, const ViewFlags& flags);
Status ViewLive(const AppContext& context, const ViewFlags& flags);

}  // namespace kvla

#endif  // KVLA_APPS_VIEW_FLAGS_H_
