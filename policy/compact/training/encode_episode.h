// SPDX-License-Identifier: Apache-2.0
// Demonstrations' frame blocks through frozen encoders. Includes torch.
#ifndef KVLA_POLICY_COMPACT_TRAINING_ENCODE_EPISODE_H_
#define KVLA_POLICY_COMPACT_TRAINING_ENCODE_EPISODE_H_

#include <map>
#include <string>

#include "policy/compact/net/vla_net.h"
#include "policy/compact/training/demo_source.h"
#include "tensors/torch.h"

namespace kvla {

// The frame blocks of an episode, without gradients. [blocks, tokens_per_block, hidden]
torch::Tensor EncodeEpisode(VlaNet& net, const DemoEpisode& episode);

// Episodes as one net's encoders encode them, by DemoEpisode::where, float16. For one thread.
class EncodedDemos {
 public:
  // Lets go of everything where the encoders are others than before.
  void Behind(VlaNet& net);
  // Encodes an episode the first time. REQUIRES: Behind() this net.
  torch::Tensor Of(VlaNet& net, const DemoEpisode& episode);

 private:
  std::string encoders_;  // hash
  std::map<std::string, torch::Tensor> episodes_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_ENCODE_EPISODE_H_
