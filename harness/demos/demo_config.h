// SPDX-License-Identifier: Apache-2.0
// What `kvla demos` records, and into which files.
#ifndef KVLA_HARNESS_DEMOS_DEMO_CONFIG_H_
#define KVLA_HARNESS_DEMOS_DEMO_CONFIG_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/config_fields.h"
#include "harness/demos/demo_recorder.h"
#include "tasks/task_options.h"

namespace kvla {

struct DemoSet {
  std::string task;
  std::string delay;
  std::string split = "train";
  int episodes = 100;
  int first = 0;
  std::string disturbance = "none";

  template <class V>
  void Fields(V& v) {
    v("task", task, "task to demonstrate (kvla list tasks)");
    v("delay", delay, "delay between cue and use; empty for a task that has none");
    v("split", split, OneOf{"train", "validation"}, "part of every random stream's key");
    v("episodes", episodes, Range{1, 1000000}, "episodes to try; failed ones are left out");
    v("first", first, Range{0, 1000000000}, "index of the first episode");
    v("disturbance", disturbance, OneOf{"none", "mild", "strong"},
      "knocks, moved cameras, other light and sensor noise, as in evaluation");
  }
};

struct DemosConfig {
  std::string name = "demos";
  int seed = 0;
  std::vector<std::string> cameras = {"front", "wrist"};
  int image_size = 64;
  int replan_steps = 4;
  int episodes_per_shard = 20;
  int gzip = 1;
  std::string instructions = "canonical";
  TaskOptions suite;
  DemoNoise noise;
  DemoDriverConfig driver;
  std::vector<DemoSet> sets;

  template <class V>
  void Fields(V& v) {
    v("name", name, "what these demonstrations are called");
    v("seed", seed, Range{0, 1000000000}, "run seed, part of every random stream's key");
    v("cameras", cameras, "cameras to record");
    v("image_size", image_size, Range{16, 512}, "side of the square images, pixels");
    v("replan_steps", replan_steps, Range{1, 64}, "control steps between two images");
    v("episodes_per_shard", episodes_per_shard, Range{1, 1000}, "episodes of one file");
    v("gzip", gzip, Range{0, 9}, "compression of images and states; 0: none");
    v("instructions", instructions, OneOf{"canonical", "seen", "held_out"},
      "wording: the first of a task, any to train on, or any held out");
    v("suite", suite, "what is asked of the tasks");
    v("noise", noise, "disturbance of the executed actions");
    v("driver", driver, "a policy that acts in stretches, for the expert to correct");
    v("sets", sets, "what to demonstrate");
  }
};

// One file's worth of episodes.
struct DemoShard {
  int set = 0;  // index into DemosConfig::sets
  uint64_t first = 0;
  int count = 0;
  std::filesystem::path path;
};

// All shards of a config, complete or not.
std::vector<DemoShard> PlanShards(const DemosConfig& config, const std::filesystem::path& out);

}  // namespace kvla

#endif  // KVLA_HARNESS_DEMOS_DEMO_CONFIG_H_
