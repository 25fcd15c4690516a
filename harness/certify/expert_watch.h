// SPDX-License-Identifier: Apache-2.0
// An episode of the expert, undisturbed, with somebody looking on.
#ifndef KVLA_HARNESS_CERTIFY_EXPERT_WATCH_H_
#define KVLA_HARNESS_CERTIFY_EXPERT_WATCH_H_

#include <functional>

#include "base/status.h"
#include "tasks/task.h"

namespace kvla {

// Called before every control step, with what the expert knows there; false ends the episode.
using LookFn = std::function<Result<bool>(const Scenario&, int step, const ExpertLabel&)>;

// Plays until `look` ends it, the task is done, its horizon is over or the world diverges.
Status WatchExpert(const Task& task, World& world, const EpisodeKey& key, const LookFn& look);

}  // namespace kvla

#endif  // KVLA_HARNESS_CERTIFY_EXPERT_WATCH_H_
