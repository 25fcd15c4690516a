// SPDX-License-Identifier: Apache-2.0
// What `kvla transplant` runs.
#ifndef KVLA_HARNESS_TRANSPLANT_TRANSPLANT_CONFIG_H_
#define KVLA_HARNESS_TRANSPLANT_TRANSPLANT_CONFIG_H_

#include <filesystem>
#include <string>
#include <vector>

#include "base/config_fields.h"
#include "base/status.h"
#include "harness/eval/run_config.h"
#include "kv_efficient/methods/named_cache.h"

namespace kvla {

struct TransplantConfig {
  std::string checkpoint;
  std::string split = "validation";
  std::string instructions = "canonical";
  TaskOptions suite;
  int seed = 0;
  int episodes = 20;
  int first_episode = 0;
  double offset_s = 0;
  int after_chunks = 0;
  std::vector<RunTask> tasks;
  std::vector<NamedCache> arms;

  template <class V>
  void Fields(V& v) {
    v("checkpoint", checkpoint, "folder of the policy, from here or from the repository's root");
    v("split", split, OneOf{"evaluation", "validation"}, "stream of the episodes");
    v("instructions", instructions, OneOf{"canonical", "seen", "held_out"},
      "wording: the first of a task, any to train on, or any held out");
    v("suite", suite, "what the tasks are like, beside their delays");
    v("seed", seed, Range{0, 1000000000}, "run seed");
    v("episodes", episodes, Range{1, 100000},
      "episodes of each arm, task and delay, with a twin each");
    v("first_episode", first_episode, Range{0, 1000000000}, "index of the first episode");
    v("offset_s", offset_s, Range{-100, 100},
      "seconds from the moment at which the memory is needed to the pause; below 0: before it");
    v("after_chunks", after_chunks, Range{0, 1000},
      "chunks after a cue's last one that are taken over as well: their deeper layers have attended "
      "to the cue");
    v("tasks", tasks, "tasks that have twins, and delays");
    v("arms", arms, "caches under which the chunks are held; a method must hold old ones");
  }
};

// A config that was checked.
struct TransplantPlan {
  TransplantConfig config;
  RunPlan run;  // its arms, tasks and jobs: one for each episode that gets another's chunks
};

// BadInput also for a task without twins, a method that holds nothing that left the window, and a
// recurrent policy.
Result<TransplantPlan> PlanTransplant(const TransplantConfig& config,
                                      const std::filesystem::path& asset_root);

}  // namespace kvla

#endif  // KVLA_HARNESS_TRANSPLANT_TRANSPLANT_CONFIG_H_
