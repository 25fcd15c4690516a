// SPDX-License-Identifier: Apache-2.0
// A demonstration's frame blocks through a frozen encoder. Includes torch.
#ifndef KVLA_POLICY_COMPACT_TRAINING_ENCODE_EPISODE_H_
#define KVLA_POLICY_COMPACT_TRAINING_ENCODE_EPISODE_H_

#include "policy/compact/net/vla_net.h"
#include "policy/compact/training/demo_source.h"
#include "tensors/torch.h"

namespace kvla {

// The frame blocks of an episode, without gradients. [blocks, tokens_per_block, hidden]
torch::Tensor EncodeEpisode(VlaNet& net, const DemoEpisode& episode);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_ENCODE_EPISODE_H_
