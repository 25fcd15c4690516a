// What `kvla eval` and `kvla view` run: arms x tasks x delays x seeds.
#ifndef KVLA_HARNESS_RUN_CONFIG_H_
#define KVLA_HARNESS_RUN_CONFIG_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/status.h"
#include "kv_efficient/cache_config.h"
#include "policy/policy_config.h"

namespace kvla {

struct RunTask {
  std::string name;
  std::vector<std::string> delays;

  template <class V>
  void Fields(V& v) {
    v("name", name, "task (kvla list tasks)");
    v("delays", delays, "delays between cue and use; empty: all that the task has");
  }
};

struct RunArm {
  std::string name;
  CacheConfig cache;

  template <class V>
  void Fields(V& v) {
    v("name", name, "what the arm is called in the table; the baseline is called 'full'");
    v("cache", cache, "its cache");
  }
};

struct RunConfig {
  std::string name = "run";
  std::string checkpoint;
  std::string device = "cpu";
  std::string clock = "frozen";
  std::string trace = "summary";
  std::string split = "evaluation";
  int seed = 0;
  int episodes = 20;
  int first_episode = 0;
  double episode_limit_s = 900;
  std::vector<RunTask> tasks;
  std::vector<RunArm> arms;

  template <class V>
  void Fields(V& v) {
    v("name", name, "what the run is called");
    v("checkpoint", checkpoint, "folder of the policy, from here or from the repository's root");
    v("device", device, OneOf{"cpu", "cuda"}, "where the policy runs");
    v("clock", clock, OneOf{"frozen"}, "frozen: the world waits for the policy");
    v("trace", trace, OneOf{"off", "summary", "full"},
      "what is stored beside costs: decisions (summary), actions and states (full)");
    v("split", split, OneOf{"evaluation", "validation"},
      "stream of the episodes; choose settings on validation, report evaluation");
    v("seed", seed, Range{0, 1000000000},
      "run seed; the evaluation split is part of the key, so that no training seed is met");
    v("episodes", episodes, Range{1, 100000}, "episodes of each arm, task and delay");
    v("first_episode", first_episode, Range{0, 1000000000}, "index of the first episode");
    v("episode_limit_s", episode_limit_s, Range{1, 100000},
      "wall-clock seconds after which an episode counts as hung");
    v("tasks", tasks, "tasks and delays");
    v("arms", arms, "settings under comparison");
  }
};

// One episode to run.
struct EpisodeJob {
  int arm = 0;  // index into RunConfig::arms
  std::string task, delay;
  int64_t seed = 0;   // index in the evaluation stream
  double weight = 1;  // its share of the work, 1 on average
};

// A config that was checked, and what follows from it.
struct RunPlan {
  RunConfig config;
  std::filesystem::path asset_root;
  std::filesystem::path checkpoint;  // resolved
  std::vector<CacheConfig> caches;   // of the arms, gate files resolved
  PolicyConfig policy;
  std::vector<EpisodeJob> jobs;  // in the order of work: arms of one episode one after the other
  int max_blocks = 0;            // inferences of the longest episode
  std::vector<std::string> warnings;
};

// `path` itself when absolute; else from the working directory if it is there, else from the root.
std::filesystem::path ResolvePath(const std::string& path, const std::filesystem::path& root);

// Checks names, delays, cache settings, scenes and the checkpoint's config without loading weights
// or writing anything. BadInput says what is wrong and where.
Result<RunPlan> PlanRun(const RunConfig& config, const std::filesystem::path& asset_root);

// Loads the policy with every arm's cache once and lets it go: what PlanRun() could not see.
// Returns the checkpoint's hash, gate files included.
Result<std::string> CheckPolicies(const RunPlan& plan);

}  // namespace kvla

#endif  // KVLA_HARNESS_RUN_CONFIG_H_
