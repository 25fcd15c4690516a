// SPDX-License-Identifier: Apache-2.0
// The window computed anew at every inference, for methods that ask for it (Needs::window_again).
#ifndef KVLA_POLICY_COMPACT_NET_RECOMPUTED_WINDOW_H_
#define KVLA_POLICY_COMPACT_NET_RECOMPUTED_WINDOW_H_

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "base/status.h"
#include "kv_efficient/kv_cache.h"
#include "policy/compact/net/block_forward.h"

namespace kvla {

// Holds the encoded tokens of the window's frame blocks. They depend on that frame alone, so that
// encoding is not repeated; the decoder runs again over all of them. A block then sees only what is
// in the window now: a cached one has seen what was in it when it came, and hands that on, over
// layers x window blocks. Not thread-safe.
class RecomputedWindow {
 public:
  // What the blocks before the newest one cost at the last Feed().
  struct Work {
    int blocks = 0;
    double attended_tokens = 0;           // keys that a query of each met, summed over the blocks
    double attend_ms = 0, report_ms = 0;  // as in CacheStats, summed
  };

  // As BlockForward::Feed() of one block, after the blocks that are still in the cache's window:
  // none of them in a cache that was reset. BeginBlock() included, EndBlock() the caller's.
  Status Feed(BlockForward& net, std::span<float> block, KvCache& cache);

  const Work& work() const { return work_; }
  // Of encoded tokens that the last Feed() needed, the newest block's among them.
  int64_t held_bytes() const;

 private:
  std::deque<std::vector<float>> blocks_;  // the oldest first
  Work work_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_NET_RECOMPUTED_WINDOW_H_
