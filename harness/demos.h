// `kvla demos`: demonstrations by the scripted experts, in HDF5 shards, by worker processes.
//
//   OUT/<split>/<task>_<delay>_<first episode>.hdf5
//
// A shard is written under another name and renamed when complete, so that a run that was stopped
// goes on with the shards that are missing.
#ifndef KVLA_HARNESS_DEMOS_H_
#define KVLA_HARNESS_DEMOS_H_

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/rng.h"
#include "base/status.h"
#include "harness/demo_recorder.h"
#include "harness/worker.h"
#include "harness/worker_pool.h"

namespace kvla {

struct DemoSet {
  std::string task;
  std::string delay;
  std::string split = "train";
  int episodes = 100;
  int first = 0;

  template <class V>
  void Fields(V& v) {
    v("task", task, "task to demonstrate (kvla list tasks)");
    v("delay", delay, "delay between cue and use; empty for a task that has none");
    v("split", split, OneOf{"train", "validation"}, "part of every random stream's key");
    v("episodes", episodes, Range{1, 1000000}, "episodes to try; failed ones are left out");
    v("first", first, Range{0, 1000000000}, "index of the first episode");
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
  DemoNoise noise;
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
    v("noise", noise, "disturbance of the executed actions");
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

// Whether the shard is there, whole, and holds at least its episodes. BadInput when the file there
// was made with other settings or is no shard.
Result<bool> ShardComplete(const DemosConfig& config, const DemoShard& shard);

struct DemosOptions {
  std::filesystem::path out;
  std::filesystem::path asset_root;
  int workers = 1;
  bool dry_run = false;  // says what it would do, and how much disk that takes
  WorkerCommand command;
  const std::atomic<bool>* cancel = nullptr;
};

struct DemosSummary {
  int shards = 0, skipped_shards = 0;
  int64_t episodes = 0;              // recorded by this call
  int64_t failed = 0, diverged = 0;  // tried by this call, left out
  int64_t control_steps = 0;
  double bytes_per_episode = 0;  // estimated beforehand
  double wall_s = 0;
};

// Generates what is missing; progress goes to stderr. BadInput before anything is written when the
// config, the folder or the free space is not good.
Result<DemosSummary> GenerateDemos(const DemosConfig& config, const DemosOptions& options);

// The worker's side.
Message DemosSetup(const DemosConfig& config, const std::filesystem::path& asset_root);
Result<DoJob> PrepareDemoWorker(const Message& setup);

}  // namespace kvla

#endif  // KVLA_HARNESS_DEMOS_H_
