// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/net/vla_net.h"

#include <string>

#include "kv_efficient/attention/fused_attention.h"
#include "policy/compact/net/shapes.h"
#include "policy/compact/text/tokenizer.h"

namespace kvla {
namespace {

constexpr double kEmbeddingSpread = 0.5;

// A waypoint as the action head reads it: offset, nearness, direction. [..., 3] -> [..., kAimDim]
torch::Tensor Aim(const torch::Tensor& waypoint) {
  const torch::Tensor distance = waypoint.norm(2, -1, /*keepdim=*/true);
  return kAimScale * torch::cat({waypoint, torch::tanh(waypoint * (kWaypointScale / kAimNear)),
                                 waypoint / (distance + kAimNowhere)},
                                -1);
}

// The way towards a waypoint in the plane, cut at each of kReaches.
// [..., 3] -> [..., 1, kReaches, 2]
torch::Tensor Approaches(const torch::Tensor& waypoint) {
  const torch::Tensor way =
      waypoint.narrow(-1, 0, kPlaneDim).unsqueeze(-2) * kWaypointScale;  // metres
  const torch::Tensor distance = way.norm(2, -1, /*keepdim=*/true).clamp_min(kAimNowhere);
  const torch::Tensor reach =
      torch::tensor(torch::ArrayRef<double>(kReaches), way.options()).unsqueeze(-1);
  return (way * torch::minimum(reach / distance, torch::ones_like(distance)) / kPositionScale)
      .unsqueeze(-3);
}

}  // namespace

DecoderSizes DecoderSizesOf(const PolicyConfig& config) {
  return {
      config.hidden_size,       config.num_layers,
      config.num_heads,         config.num_kv_heads,
      config.intermediate_size, config.reads_sentences() ? 0 : Tokenizer(config.vocabulary).size()};
}

CacheGeometry GeometryOf(const PolicyConfig& config, int instruction_tokens, int max_blocks) {
  CacheGeometry geometry;
  geometry.layers = config.num_layers;
  geometry.heads = config.num_heads;
  geometry.kv_heads = config.num_kv_heads;
  geometry.head_dim = config.head_dim();
  geometry.tokens_per_block = config.decoder_tokens();
  geometry.max_blocks = max_blocks;
  geometry.instruction_tokens = instruction_tokens;
  geometry.rope_theta = config.rope_theta;
  geometry.age_clamp_blocks = config.age_clamp_blocks;
  return geometry;
}

VlaNetImpl::VlaNetImpl(const PolicyConfig& config) : config_(config) {
  const int width = config.hidden_size;
  torch::nn::ModuleList list;
  for (size_t i = 0; i < config.cameras.size(); ++i) {
    encoders_.emplace_back(config.image_size, config.camera_tokens[i], width);
    list->push_back(encoders_.back());
  }
  register_module("image_encoders", list);
  state_encoder_ = register_module(
      "state_encoder", torch::nn::Sequential(torch::nn::Linear(kProprioDim, width),
                                             torch::nn::SiLU(), torch::nn::Linear(width, width),
                                             torch::nn::LayerNorm(std::vector<int64_t>{width})));
  slot_embedding_ = register_parameter(
      "slot_embedding", kEmbeddingSpread * torch::randn({config.tokens_per_block(), width}));
  instruction_position_ =
      register_parameter("instruction_position",
                         kEmbeddingSpread * torch::randn({config.instruction_capacity(), width}));
  if (config.reads_sentences()) {
    text_map_ = register_module(
        "text_map", torch::nn::Linear(kTextEmbeddingSize, config.instruction_tokens * width));
  }
  decoder_ = register_module("model", Decoder(DecoderSizesOf(config)));
  const int block_width = config.tokens_per_block() * width;
  const auto two_layers = [](int in, int out) {
    return torch::nn::Sequential(torch::nn::Linear(in, kHeadWidth), torch::nn::SiLU(),
                                 torch::nn::Linear(kHeadWidth, out));
  };
  target_head_ =
      register_module("target_head", torch::nn::Linear(block_width, config.num_target_classes));
  if (config.cue_orders > 0) {
    order_head_ = register_module("order_head", torch::nn::Linear(block_width, config.cue_orders));
  }
  places_head_ = register_module(
      "places_head", torch::nn::Linear(block_width, kPlaceDim * config.num_target_classes));
  waypoint_head_ = register_module("waypoint_head", two_layers(block_width, kPlaceDim + 1));
  action_head_ = register_module(
      "action_head", two_layers(block_width + kAimDim, config.replan_steps * kActionOutputs));
  if (config.recurrent()) memory_ = register_module("memory", RecurrentMemory(config));
}

torch::Tensor VlaNetImpl::EncodeBlocks(const std::vector<torch::Tensor>& images,
                                       const torch::Tensor& proprio) {
  std::vector<torch::Tensor> tokens;
  for (size_t i = 0; i < encoders_.size(); ++i) {
    const torch::Tensor scaled =
        images[i].permute({0, 3, 1, 2}).to(torch::kFloat32).mul_(1.0 / 255.0).sub_(0.5);
    tokens.push_back(encoders_[i]->forward(scaled));
  }
  const auto options = proprio.options().dtype(torch::kFloat32);
  const torch::Tensor centre = torch::tensor(torch::ArrayRef<float>(kProprioCentre), options);
  const torch::Tensor spread = torch::tensor(torch::ArrayRef<float>(kProprioSpread), options);
  tokens.push_back(state_encoder_->forward((proprio - centre) / spread).unsqueeze(1));
  // A layer norm may come out in another type than a linear map under autocast.
  for (torch::Tensor& t : tokens) t = t.to(torch::kFloat32);
  return torch::cat(tokens, 1) + slot_embedding_;
}

torch::Tensor VlaNetImpl::EmbedInstruction(const torch::Tensor& instruction) {
  if (config_.reads_sentences()) {
    return text_map_(instruction * kTextScale)
               .to(torch::kFloat32)
               .unflatten(-1, {config_.instruction_tokens, config_.hidden_size}) +
           instruction_position_;
  }
  return decoder_->Embed(instruction) + instruction_position_.narrow(0, 0, instruction.size(0));
}

int VlaNetImpl::InstructionTokens(const torch::Tensor& instruction) const {
  return config_.reads_sentences() ? config_.instruction_tokens
                                   : static_cast<int>(instruction.size(0));
}

HeadOutputs VlaNetImpl::Heads(const torch::Tensor& hidden, const torch::Tensor& proprio,
                              const torch::Tensor& told) {
  const torch::Tensor block = hidden.flatten(-2);
  const torch::Tensor origin = OriginOf(proprio);
  HeadOutputs outputs;
  outputs.target = target_head_->forward(block);
  if (!order_head_.is_empty()) outputs.order = order_head_->forward(block);
  outputs.places =
      places_head_->forward(block).unflatten(-1, {config_.num_target_classes, kPlaceDim}) +
      origin.unsqueeze(-2);
  torch::Tensor looked_up = outputs.target.argmax(-1);
  if (told.defined()) looked_up = torch::where(told >= 0, told, looked_up);
  const torch::Tensor index =
      torch::one_hot(looked_up, config_.num_target_classes).to(outputs.places.dtype());
  outputs.goal = (outputs.places * index.unsqueeze(-1)).sum(-2);
  // The way leads to the goal or elsewhere. That this is a choice and not one more input of the
  // head matters: a demonstrator's motion gives the goal away, and the head read just that.
  const torch::Tensor way = waypoint_head_->forward(block).to(torch::kFloat32);
  outputs.elsewhere = way.narrow(-1, 0, kPlaceDim) + origin;
  outputs.to_goal = way.select(-1, kPlaceDim);
  // A blend while it learns, for the gradient's sake; on its way to a point between the two an arm
  // would stay there.
  const torch::Tensor share = config_.way == "choose" && !is_training()
                                  ? (outputs.to_goal > 0).to(torch::kFloat32)
                                  : torch::sigmoid(outputs.to_goal);
  outputs.waypoint = outputs.elsewhere +
                     share.unsqueeze(-1) * (outputs.goal.to(torch::kFloat32) - outputs.elsewhere);
  const torch::Tensor actions =
      action_head_->forward(torch::cat({block, Aim(outputs.waypoint).to(block.dtype())}, -1))
          .unflatten(-1, {config_.replan_steps, kActionOutputs})
          .to(torch::kFloat32);
  // In the plane the motion leads towards the waypoint, however far: nothing else could tell the
  // head to follow its own past.
  const torch::Tensor pace =
      actions.narrow(-1, kActionOutputs - kNumReaches, kNumReaches).unsqueeze(-1);
  const torch::Tensor plane = (pace * Approaches(outputs.waypoint)).sum(-2);
  outputs.motion = torch::cat({plane, actions.narrow(-1, 0, kMotionDim - kPlaneDim)}, -1);
  outputs.gripper = actions.select(-1, kMotionDim - kPlaneDim);
  return outputs;
}

torch::Tensor VlaNetImpl::OriginOf(const torch::Tensor& proprio) const {
  const torch::Tensor hand = proprio.narrow(-1, 0, kPlaceDim).to(torch::kFloat32);
  if (config_.places == "from_hand") return torch::zeros_like(hand);
  const torch::Tensor centre =
      torch::tensor(torch::ArrayRef<float>(kProprioCentre, kPlaceDim), hand.options());
  return (centre - hand) / kWaypointScale;
}

std::vector<Qkv> VlaNetImpl::InstructionKeys(const torch::Tensor& instruction) {
  std::vector<Qkv> layers;
  decoder_->forward(EmbedInstruction(instruction), [&layers](int, const Qkv& qkv) {
    layers.push_back(qkv);
    return InstructionAttention(qkv.q, qkv.k, qkv.v);
  });
  return layers;
}

}  // namespace kvla
