// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/net/recomputed_window.h"

namespace kvla {

Status RecomputedWindow::Feed(BlockForward& net, std::span<float> block, KvCache& cache) {
  const int end = cache.blocks();
  if (Status status = cache.ReopenWindow(); !status.ok()) return status;
  while (static_cast<int>(blocks_.size()) > end - cache.blocks()) blocks_.pop_front();
  work_ = {};
  KvCache* const caches[] = {&cache};
  for (std::vector<float> before : blocks_) {  // a copy: it becomes what the heads would read
    if (Status status = cache.BeginBlock(); !status.ok()) return status;
    net.Feed(caches, before.data());
    if (Status status = cache.EndBlock(); !status.ok()) return status;
    const CacheStats& stats = cache.stats();
    ++work_.blocks;
    work_.attended_tokens += stats.cost.attended_tokens;
    work_.attend_ms += stats.cost.latency.attend_ms;
    work_.report_ms += stats.report_ms;
  }
  blocks_.emplace_back(block.begin(), block.end());
  if (Status status = cache.BeginBlock(); !status.ok()) return status;
  net.Feed(caches, block.data());
  return {};
}

int64_t RecomputedWindow::held_bytes() const {
  int64_t bytes = 0;
  for (const std::vector<float>& block : blocks_) {
    bytes += static_cast<int64_t>(block.size() * sizeof(float));
  }
  return bytes;
}

}  // namespace kvla
