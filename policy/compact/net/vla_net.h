// SPDX-License-Identifier: Apache-2.0
// The policy's network: encoders, decoder, heads. Includes torch.
#ifndef KVLA_POLICY_COMPACT_NET_VLA_NET_H_
#define KVLA_POLICY_COMPACT_NET_VLA_NET_H_

#include <vector>

#include "kv_efficient/methods/cache_config.h"
#include "policy/compact/net/decoder.h"
#include "policy/compact/net/image_encoder.h"
#include "policy/compact/net/recurrent_memory.h"
#include "policy/compact/policy_config.h"
#include "tensors/torch.h"

namespace kvla {

// What the heads read off a frame block.
struct HeadOutputs {
  torch::Tensor motion;     // [..., replan_steps, 6]: position offset / kPositionScale, rotation
  torch::Tensor gripper;    // [..., replan_steps]: logit of "close"
  torch::Tensor target;     // [..., classes]: logits of the target's identity
  torch::Tensor order;      // [..., cue_orders]: logits of which cue the block sees; or undefined
  torch::Tensor places;     // [..., classes, 3]: where each class's target is / kWaypointScale
  torch::Tensor goal;       // [..., 3]: the place that was looked up
  torch::Tensor elsewhere;  // [..., 3]: where a motion leads that is not to the goal
  torch::Tensor to_goal;    // [...]: logit of which of the two
  torch::Tensor waypoint;   // [..., 3]: where the motion leads, what the action head is told
};

class VlaNetImpl : public torch::nn::Module {
 public:
  explicit VlaNetImpl(const PolicyConfig& config);

  // images: per camera [frames, size, size, 3] uint8; proprio: [frames, 7]
  // -> frame blocks [frames, tokens_per_block, hidden]; the state token comes last.
  torch::Tensor EncodeBlocks(const std::vector<torch::Tensor>& images,
                             const torch::Tensor& proprio);
  // What InstructionReader reads -> tokens, with a learned position each: rotary positions are all
  // one there. ids [n] -> [n, hidden]; embeddings [..., 384] -> [..., instruction_tokens, hidden].
  torch::Tensor EmbedInstruction(const torch::Tensor& instruction);
  int InstructionTokens(const torch::Tensor& instruction) const;
  // hidden: [..., tokens_per_block, hidden], the decoder's output. The heads read every token of
  // the block: through the state token alone, what a camera saw was hardly learned. Which target,
  // where each one is, and how to get there are learned apart: the place of the most likely target
  // is looked up and handed to the action head. `proprio`: [..., 7], of the same frames. `told`:
  // [...] int64, the class to look up instead where it is not negative; undefined: none.
  HeadOutputs Heads(const torch::Tensor& hidden, const torch::Tensor& proprio,
                    const torch::Tensor& told = {});

  // The instruction attends to itself alone, un-rotated; returns each layer's keys and values
  // [..., kv_heads, n, head_dim], which every block sees from the far side of the cache.
  std::vector<Qkv> InstructionKeys(const torch::Tensor& instruction);

  Decoder& decoder() { return decoder_; }
  RecurrentMemory& memory() { return memory_; }  // REQUIRES: config().recurrent()
  const PolicyConfig& config() const { return config_; }

 private:
  // Where the heads' places are counted from, as seen from the hand: [..., 3] / kWaypointScale.
  torch::Tensor OriginOf(const torch::Tensor& proprio) const;

  PolicyConfig config_;
  std::vector<ImageEncoder> encoders_;
  torch::nn::Sequential state_encoder_{nullptr};
  torch::nn::Linear text_map_{nullptr};  // under text: minilm
  torch::Tensor slot_embedding_, instruction_position_;
  Decoder decoder_{nullptr};
  RecurrentMemory memory_{nullptr};  // under memory: recurrent
  torch::nn::Linear target_head_{nullptr}, order_head_{nullptr}, places_head_{nullptr};
  torch::nn::Sequential waypoint_head_{nullptr}, action_head_{nullptr};
};
TORCH_MODULE(VlaNet);

DecoderSizes DecoderSizesOf(const PolicyConfig& config);
// The cache's view of this policy. `instruction_tokens` is this episode's.
CacheGeometry GeometryOf(const PolicyConfig& config, int instruction_tokens, int max_blocks);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_NET_VLA_NET_H_
