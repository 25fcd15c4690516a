// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/net/recomputed_window.h"

#include "policy/compact/net/cached_forward.h"

namespace kvla {

Result<torch::Tensor> RecomputedWindow::Feed(VlaNet& net, const torch::Tensor& block,
                                             KvCache& cache) {
  const int end = cache.blocks();
  if (Status status = cache.ReopenWindow(); !status.ok()) return status;
  while (static_cast<int>(blocks_.size()) > end - cache.blocks()) blocks_.pop_front();
  work_ = {};
  for (const torch::Tensor& before : blocks_) {
    const Result<torch::Tensor> hidden = FeedBlock(net, before, cache);
    if (!hidden.ok()) return hidden.status();
    if (Status status = cache.EndBlock(); !status.ok()) return status;
    const CacheStats& stats = cache.stats();
    ++work_.blocks;
    work_.attended_tokens += stats.cost.attended_tokens;
    work_.attend_ms += stats.cost.latency.attend_ms;
    work_.report_ms += stats.report_ms;
  }
  blocks_.push_back(block);
  return FeedBlock(net, block, cache);
}

int64_t RecomputedWindow::held_bytes() const {
  int64_t bytes = 0;
  for (const torch::Tensor& block : blocks_) bytes += static_cast<int64_t>(block.nbytes());
  return bytes;
}

}  // namespace kvla
