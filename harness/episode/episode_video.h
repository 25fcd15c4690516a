// SPDX-License-Identifier: Apache-2.0
// Films stored episodes. For one thread: it owns a GL context.
#ifndef KVLA_HARNESS_EPISODE_EPISODE_VIDEO_H_
#define KVLA_HARNESS_EPISODE_EPISODE_VIDEO_H_

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "base/status.h"
#include "results/store/run_store.h"
#include "results/trace/trace.h"
#include "sim/renderer.h"
#include "sim/world.h"
#include "tasks/task.h"

namespace kvla {

class EpisodeFilmer {
 public:
  struct Options {
    std::string camera = "front";
    int size = 320;       // pixels, square
    int every_steps = 2;  // control steps a frame; it plays at the speed of the episode
  };
  explicit EpisodeFilmer(std::filesystem::path asset_root)
      : EpisodeFilmer(std::move(asset_root), Options()) {}
  EpisodeFilmer(std::filesystem::path asset_root, Options options)
      : asset_root_(std::move(asset_root)), options_(std::move(options)) {}

  // An MP4 file's bytes. Errors are those of EpisodeStates::Make().
  Result<std::string> Film(const EpisodeRecord& record);

 private:
  Status Prepare(const EpisodeBegin& begin);

  std::filesystem::path asset_root_;
  Options options_;
  std::unique_ptr<Task> task_;
  std::unique_ptr<World> world_;
  std::unique_ptr<Renderer> renderer_;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_EPISODE_EPISODE_VIDEO_H_
