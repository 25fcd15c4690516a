// SPDX-License-Identifier: Apache-2.0
// The policy over a KvCache, one frame block at a time. Includes torch.
#ifndef KVLA_POLICY_COMPACT_NET_CACHED_FORWARD_H_
#define KVLA_POLICY_COMPACT_NET_CACHED_FORWARD_H_

#include "base/status.h"
#include "kv_efficient/kv_cache.h"
#include "policy/compact/net/vla_net.h"
#include "tensors/torch.h"

namespace kvla {

// instruction: of InstructionReader. Comes first, once an episode, after cache.Reset().
Status FeedInstruction(VlaNet& net, const torch::Tensor& instruction, KvCache& cache);

// block: [tokens_per_block, hidden], of EncodeBlocks() -> what the heads read, of the same shape.
// The cache's BeginBlock() and EndBlock() are the caller's.
torch::Tensor FeedBlock(VlaNet& net, const torch::Tensor& block, KvCache& cache);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_NET_CACHED_FORWARD_H_
