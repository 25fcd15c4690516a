// SPDX-License-Identifier: Apache-2.0
// One inference of recurrent policies up to the heads (policy.memory).
#ifndef KVLA_POLICY_COMPACT_NET_RECURRENT_FEED_H_
#define KVLA_POLICY_COMPACT_NET_RECURRENT_FEED_H_

#include <span>

#include "base/status.h"
#include "kv_efficient/kv_cache.h"
#include "policy/compact/net/block_forward.h"
#include "policy/compact/policy_config.h"

namespace kvla {

// As BlockForward::Feed() of blocks [caches, tokens_per_block, hidden], each taken into its state
// first and fed beside what the state says. The caches hold the instruction alone, before and
// after: every block stands at position 0. BeginBlock() and EndBlock() included.
Status FeedRecurrent(BlockForward& net, const PolicyConfig& config,
                     std::span<KvCache* const> caches, std::span<RecurrentState* const> states,
                     float* blocks);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_NET_RECURRENT_FEED_H_
