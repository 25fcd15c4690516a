// A demonstration's frame blocks through a frozen encoder. Includes torch.
#ifndef KVLA_POLICY_ENCODE_EPISODE_H_
#define KVLA_POLICY_ENCODE_EPISODE_H_

#include "kv_efficient/torch.h"
#include "policy/demo_source.h"
#include "policy/vla_net.h"

namespace kvla {

// The frame blocks of an episode, without gradients. [blocks, tokens_per_block, hidden]
torch::Tensor EncodeEpisode(VlaNet& net, const DemoEpisode& episode);

}  // namespace kvla

#endif  // KVLA_POLICY_ENCODE_EPISODE_H_
