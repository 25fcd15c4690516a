// SPDX-License-Identifier: Apache-2.0
// Which episodes of a run are filmed, and what their files are called.
#ifndef KVLA_RESULTS_VIDEO_VIDEO_RULE_H_
#define KVLA_RESULTS_VIDEO_VIDEO_RULE_H_

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/status.h"
#include "results/trace/trace.h"

namespace kvla {

inline constexpr char kVideoFolder[] = "videos";  // in the run's folder

// rule: none, failures (and errors), first_n (of each arm, task and delay) or all; another name is
// none. A function of the episode alone: neither workers nor stops show.
bool WantsVideo(const std::string& rule, int n, int64_t index, const EpisodeEnd& end);

// "videos/gated-recall_color-long-12-1a2b3c4d.mp4": readable, and another name for every id.
std::string VideoFile(const EpisodeId& id);

// Where the video is that a run in `folder` calls `name`. A run may come from anybody: BadInput
// unless the file is a regular one in the run's own kVideoFolder, links followed.
Result<std::filesystem::path> VideoPath(const std::filesystem::path& folder,
                                        const std::string& name);

}  // namespace kvla

#endif  // KVLA_RESULTS_VIDEO_VIDEO_RULE_H_
