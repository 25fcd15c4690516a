// SPDX-License-Identifier: Apache-2.0
// What a shard of demonstrations says of itself, and whether its datasets are that: rank, type and
// size, before any of them is read. The layout itself: demo_shard.h.
#ifndef KVLA_HARNESS_DEMOS_DEMO_LAYOUT_H_
#define KVLA_HARNESS_DEMOS_DEMO_LAYOUT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "harness/demos/hdf5_file.h"
#include "tasks/task_options.h"

namespace kvla {

// Of the group 'data'.
struct ShardFacts {
  int demos = 0;
  std::string task;
  std::vector<std::string> cameras;
  int height = 0, width = 0;  // of every image, pixels
  TaskOptions suite;
  std::string disturbance = "none";
};

// Of one demonstration.
struct DemoSizes {
  int steps = 0;   // control steps, 1 or more
  int blocks = 0;  // images a camera: one every `stride` steps
  int stride = 0;
};

// BadInput: an attribute is missing, of another type or out of range.
Result<ShardFacts> ReadShardFacts(const Hdf5Node& data);
Result<DemoSizes> ReadDemoSizes(const Hdf5Node& demo);

// [blocks, height, width, 3]
std::vector<int64_t> ImageShape(const ShardFacts& facts, const DemoSizes& sizes);

// Whether every dataset of a demonstration is what the file says; nothing is read.
Status CheckDemoDatasets(const Hdf5Node& demo, const ShardFacts& facts, const DemoSizes& sizes);

}  // namespace kvla

#endif  // KVLA_HARNESS_DEMOS_DEMO_LAYOUT_H_
