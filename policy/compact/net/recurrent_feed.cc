// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/net/recurrent_feed.h"

#include <algorithm>
#include <vector>

namespace kvla {

Status FeedRecurrent(BlockForward& net, const PolicyConfig& config,
                     std::span<KvCache* const> caches, std::span<RecurrentState* const> states,
                     float* blocks) {
  const size_t width = config.hidden_size;
  const size_t read = config.tokens_per_block() * width, fed = config.decoder_tokens() * width;
  std::vector<float> rows(caches.size() * fed);
  net.Remember(states, blocks, rows.data());
  for (KvCache* cache : caches) {
    if (Status status = cache->BeginBlock(); !status.ok()) return status;
  }
  net.Feed(caches, rows.data());
  for (size_t i = 0; i < caches.size(); ++i) {
    std::copy_n(rows.data() + i * fed, read, blocks + i * read);
    if (Status status = caches[i]->EndBlock(); !status.ok()) return status;
    if (Status status = caches[i]->ReopenWindow(); !status.ok()) return status;
  }
  return {};
}

}  // namespace kvla
