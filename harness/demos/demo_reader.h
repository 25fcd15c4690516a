// SPDX-License-Identifier: Apache-2.0
// Reads the shards of `kvla demos` for the trainers.
#ifndef KVLA_HARNESS_DEMOS_DEMO_READER_H_
#define KVLA_HARNESS_DEMOS_DEMO_READER_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "harness/demos/demo_config.h"
#include "harness/demos/demo_layout.h"
#include "harness/demos/hdf5_file.h"
#include "policy/compact/policy_config.h"
#include "policy/compact/training/demo_source.h"
#include "tasks/task.h"

namespace kvla {

// Which demonstrations to read, an empty list takes all; and what the policy wants of them, 0 takes
// any.
struct DemoFilter {
  std::vector<std::string> tasks;
  std::vector<std::string> cameras;  // in this order; empty: as recorded
  int image_size = 0;                // side of the square images, pixels
  int replan_steps = 0;              // control steps from image to image
};

// What a policy wants of demonstrations: given its sizes, or the folder of its checkpoint.
DemoFilter FilterFor(const PolicyConfig& policy);
Result<DemoFilter> FilterFor(const std::filesystem::path& checkpoint);

// All complete shards under folders (OUT/train of `kvla demos --out OUT`), folder by folder in the
// order of their names. One reader a thread, one thread at a time a process (HDF5).
class DemoReader : public DemoSource {
 public:
  // Checks the rank, type and size of all that Read() will read. BadInput: no such folder, no
  // demonstrations in it, a broken shard, one with other cameras, image size or replan_steps than
  // `filter` wants, of another suite than the first, an episode that is there twice.
  static Result<std::unique_ptr<DemoReader>> Open(const std::vector<std::filesystem::path>& folders,
                                                  const DemoFilter& filter = {});
  static Result<std::unique_ptr<DemoReader>> Open(const std::filesystem::path& folder,
                                                  const DemoFilter& filter = {}) {
    return Open(std::vector<std::filesystem::path>{folder}, filter);
  }

  int size() const override { return static_cast<int>(entries_.size()); }
  Result<DemoEpisode> Read(int index) override;
  // With what settings the first file was made, but for its sets: more of the same can be recorded
  // with them. BadInput where it does not say.
  Result<DemosConfig> Settings() const;

 private:
  struct Entry {
    size_t file = 0;
    int demo = 0;
  };
  // Settings' hash, task, delay and episode, and where it is.
  using Seen = std::map<std::string, std::string>;

  DemoReader() = default;
  Status AddFolder(const std::filesystem::path& folder);
  Status AddShard(size_t file, const DemoFilter& filter, Seen* seen);
  Result<Hdf5Node> Group(int index);

  std::vector<std::filesystem::path> files_;
  std::vector<std::optional<Hdf5Node>> open_;  // by file, opened when first read
  std::vector<ShardFacts> facts_;              // by file; its cameras are those to read
  std::vector<Entry> entries_;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_DEMOS_DEMO_READER_H_
