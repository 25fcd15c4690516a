// SPDX-License-Identifier: Apache-2.0
#include "harness/demos/demo_config.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvla {

std::vector<DemoShard> PlanShards(const DemosConfig& config, const std::filesystem::path& out) {
  std::vector<DemoShard> shards;
  for (size_t s = 0; s < config.sets.size(); ++s) {
    const DemoSet& set = config.sets[s];
    const std::string stem = set.task + (set.delay.empty() ? "" : "_" + set.delay);
    for (int done = 0; done < set.episodes; done += config.episodes_per_shard) {
      DemoShard shard;
      shard.set = static_cast<int>(s);
      shard.first = static_cast<uint64_t>(set.first + done);
      shard.count = std::min(config.episodes_per_shard, set.episodes - done);
      shard.path = out / set.split / fmt::format("{}_{:05}.hdf5", stem, shard.first);
      shards.push_back(std::move(shard));
    }
  }
  return shards;
}

}  // namespace kvla
