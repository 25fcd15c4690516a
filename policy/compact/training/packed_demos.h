// SPDX-License-Identifier: Apache-2.0
// Demonstrations that are read once and kept packed, for several trainings one after the other.
#ifndef KVLA_POLICY_COMPACT_TRAINING_PACKED_DEMOS_H_
#define KVLA_POLICY_COMPACT_TRAINING_PACKED_DEMOS_H_

#include <atomic>
#include <functional>
#include <vector>

#include "base/status.h"
#include "policy/compact/training/demo_source.h"

namespace kvla {

class PackedDemos : public DemoSource {
 public:
  // Reads all of a source, behind what is there already. `on_read` is told how many of it are read.
  // kCancelled once `stop` is set; what there was is then unchanged.
  Status Add(DemoSource& source, const std::atomic<bool>* stop,
             const std::function<void(int)>& on_read = {});

  int size() const override { return static_cast<int>(episodes_.size()); }
  // A copy that shares the packed images. REQUIRES: 0 <= index < size().
  Result<DemoEpisode> Read(int index) override { return episodes_[static_cast<size_t>(index)]; }

  double MeanBlocks() const;
  size_t PackedBytes() const;

 private:
  std::vector<DemoEpisode> episodes_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_PACKED_DEMOS_H_
