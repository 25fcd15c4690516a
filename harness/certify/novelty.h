// SPDX-License-Identifier: Apache-2.0
// Which chunks look new: what a rule that keeps changed pixels goes by.
#ifndef KVLA_HARNESS_CERTIFY_NOVELTY_H_
#define KVLA_HARNESS_CERTIFY_NOVELTY_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "harness/certify/policy_geometry.h"
#include "tasks/task.h"

namespace kvla {

// One score for each whole chunk, in 8-bit steps of a pixel; higher looks newer.
struct ChunkNovelty {
  std::vector<double> changes;  // mean |pixel - pixel of the block before|, summed over the blocks
  std::vector<double> means;    // mean |pixel of the chunk's mean image - of the chunk before's|
};

// Takes an episode's images block by block.
class NoveltyMeter {
 public:
  explicit NoveltyMeter(int chunk_blocks) : chunk_blocks_(chunk_blocks) {}

  // All cameras' pixels of the next block, always as many.
  void Add(std::span<const uint8_t> pixels);
  const ChunkNovelty& scores() const { return scores_; }

 private:
  int chunk_blocks_;
  int blocks_ = 0;
  double change_ = 0;                // of the chunk that is not whole yet
  std::vector<uint8_t> last_;        // block
  std::vector<int> sum_, last_sum_;  // over the blocks of this chunk, of the last one
  ChunkNovelty scores_;
};

// The `count` highest of `scores`, or all; of equals the earlier.
std::vector<int> Highest(std::span<const double> scores, int count);

struct NoveltyOptions {
  uint64_t run_seed = 0;
  int image_size = 64;
  int threads = 1;
  PolicyGeometry geometry;
};

// Of validation episode i, the chunks 0 .. left[i] - 1, as the policy's cameras show them while the
// expert acts; fewer where the episode ended before.
// `progress(done, total)` may be empty, is called by one thread at a time; returning false from it
// cancels.
Result<std::vector<ChunkNovelty>> MeasureNovelty(const Task& task, const std::string& delay,
                                                 std::span<const int> left,
                                                 const NoveltyOptions& options,
                                                 const std::function<bool(int, int)>& progress);

}  // namespace kvla

#endif  // KVLA_HARNESS_CERTIFY_NOVELTY_H_
