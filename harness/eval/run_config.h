// SPDX-License-Identifier: Apache-2.0
// What `kvla eval` and `kvla view` run: arms x tasks x delays x seeds.
#ifndef KVLA_HARNESS_EVAL_RUN_CONFIG_H_
#define KVLA_HARNESS_EVAL_RUN_CONFIG_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/config_fields.h"
#include "base/status.h"
#include "harness/episode/latency.h"
#include "kv_efficient/cost_model.h"
#include "kv_efficient/methods/named_cache.h"
#include "policy/policy.h"
#include "policy/policy_source.h"
#include "results/statistics/stop_rule.h"
#include "tasks/task_options.h"

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

// The baseline is called 'full'.
struct RunArm : NamedCache {
  ClockConfig clock;

  template <class V>
  void Fields(V& v) {
    NamedCache::Fields(v);
    v("clock", clock, "how the world's time goes on while the policy thinks");
  }
};

struct RunConfig {
  std::string name = "run";
  std::string checkpoint;
  BackboneConfig backbone;
  AdapterConfig adapter;
  std::string device = "cpu";
  std::string trace = "summary";
  std::string videos = "none";
  int videos_n = 5;
  std::string split = "evaluation";
  std::string instructions = "canonical";
  std::string disturbance = "none";
  TaskOptions suite;
  int seed = 0;
  int episodes = 20;
  int first_episode = 0;
  double episode_limit_s = 900;
  VlaCost vla;
  StopRule stop_when;
  std::vector<RunTask> tasks;
  std::vector<RunArm> arms;

  template <class V>
  void Fields(V& v) {
    v("name", name, "what the run is called");
    v("checkpoint", checkpoint,
      "folder of the policy, from here or from the repository's root: one that kvla train made, or "
      "a published one");
    v("backbone", backbone, "a published policy: its sizes alone, or how it remembers");
    v("adapter", adapter, "between the suite's robot and a published policy");
    v("device", device, OneOf{"cpu", "cuda"}, "where the policy runs");
    v("trace", trace, OneOf{"off", "summary", "full"},
      "what is stored beside costs: decisions and actions (summary), states too (full)");
    v("videos", videos, OneOf{"none", "failures", "first_n", "all"}, "which episodes are filmed");
    v("videos_n", videos_n, Range{1, 100000},
      "under first_n: how many of each arm, task and delay");
    v("split", split, OneOf{"evaluation", "validation"},
      "stream of the episodes; choose settings on validation, report evaluation");
    v("instructions", instructions, OneOf{"canonical", "seen", "held_out", "swapped"},
      "wording: the first of a task, any to train on, any held out, or of another target");
    v("disturbance", disturbance, OneOf{"none", "mild", "strong"},
      "knocks of loose objects, noise of the sensors, shift of cameras and light");
    v("suite", suite,
      "what the tasks are like, beside their delays; another suite, other episodes");
    v("seed", seed, Range{0, 1000000000},
      "run seed; the evaluation split is part of the key, so that no training seed is met");
    v("episodes", episodes, Range{1, 100000}, "episodes of each arm, task and delay");
    v("first_episode", first_episode, Range{0, 1000000000}, "index of the first episode");
    v("episode_limit_s", episode_limit_s, Range{1, 100000},
      "wall-clock seconds after which an episode counts as hung");
    v("vla", vla, "what the clocks' latency 'cost_model' stands for");
    v("stop_when", stop_when, "when the run may end before its last episode");
    v("tasks", tasks, "tasks and delays");
    v("arms", arms, "settings under comparison");
  }
};

// One episode to run.
struct EpisodeJob {
  int arm = 0;  // index into RunConfig::arms
  std::string task, delay;
  int64_t seed = 0;        // index in the evaluation stream
  double weight = 1;       // its share of the work, 1 on average
  int horizon_steps = 0;   // control steps it takes at most
  int max_inferences = 0;  // 0: all; else a trial that ends there, see EstimateRun()
  bool twin = false;       // see EpisodeKey
};

// A config that was checked, and what follows from it.
struct RunPlan {
  RunConfig config;
  std::filesystem::path asset_root;
  std::filesystem::path checkpoint;              // resolved; empty: of a backbone's shape
  std::vector<CacheConfig> caches;               // of the arms, gate files resolved
  std::vector<std::vector<double>> recorded_ms;  // of the arms, for clocks that ask for them
  PolicySpec policy;
  bool random_weights = false;  // PolicyDescription
  std::vector<std::pair<std::string, std::string>> policy_card;
  std::vector<EpisodeJob> jobs;  // in the order of work: arms of one episode one after the other
  int max_blocks = 0;            // inferences of the longest episode
  int planned = 0;               // episodes of the whole run, whatever the shard
  std::string shard = "1/1";     // "2/3": the second of three parts of the run
  std::string assets_hash;       // of the scenes that the run can load
  std::vector<std::string> warnings;
};

// `path` itself when absolute; else from the working directory if it is there, else from the root.
std::filesystem::path ResolvePath(const std::string& path, const std::filesystem::path& root);

// Checks names, delays, cache settings, scenes and the checkpoint's config without loading weights
// or writing anything. BadInput says what is wrong and where.
Result<RunPlan> PlanRun(const RunConfig& config, const std::filesystem::path& asset_root);

// The cells of the run, for DecideStop().
StopPlan StopPlanOf(const RunPlan& plan);

// Leaves the jobs of one part of `count`: whole groups of arms, so that pairs stay together.
// `index` counts from 1.
Status TakeShard(int index, int count, RunPlan* plan);

// Where the run's policy comes from.
PolicySource SourceOf(const RunPlan& plan);

// The run's policy, with its weights.
Result<std::unique_ptr<Policy>> LoadPolicy(const RunPlan& plan);

// Loads the policy with every arm's cache once and lets it go: what PlanRun() could not see.
// Returns the checkpoint's hash, gate files included.
Result<std::string> CheckPolicies(const RunPlan& plan);

}  // namespace kvla

#endif  // KVLA_HARNESS_EVAL_RUN_CONFIG_H_
