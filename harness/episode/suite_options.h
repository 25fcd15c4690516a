// SPDX-License-Identifier: Apache-2.0
// The options of a suite (tasks/task_options.h): what an episode and a text say of them, and from
// what an episode says back to its task and its key.
#ifndef KVLA_HARNESS_EPISODE_SUITE_OPTIONS_H_
#define KVLA_HARNESS_EPISODE_SUITE_OPTIONS_H_

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "base/rng.h"
#include "base/status.h"
#include "results/trace/trace.h"
#include "tasks/task.h"

namespace kvla {

// By their keys, as EpisodeBegin has them: {"cues": "anywhere", ...}.
std::map<std::string, std::string> SuiteMembers(const TaskOptions& options);
// "cues anywhere, decoys true, layout seen"
std::string SuiteText(const TaskOptions& options);

// BadInput: an option that this program does not know.
Result<TaskOptions> SuiteOf(const EpisodeBegin& begin);
// The key points into `begin`. BadInput: there is no such split.
Result<EpisodeKey> KeyOf(const EpisodeBegin& begin);
// The task of an episode, under its options.
Result<std::unique_ptr<Task>> MakeTaskOf(const EpisodeBegin& begin,
                                         const std::filesystem::path& asset_root);
// Whether `task` is what MakeTaskOf() would make; null is not.
bool IsTaskOf(const Task* task, const EpisodeBegin& begin);

}  // namespace kvla

#endif  // KVLA_HARNESS_EPISODE_SUITE_OPTIONS_H_
