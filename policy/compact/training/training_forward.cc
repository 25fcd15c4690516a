// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/training_forward.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "kv_efficient/attention/fused_attention.h"
#include "kv_efficient/training/training_attention.h"
#include "kv_efficient/training/visibility.h"

namespace kvla {
namespace {

// Each history's decisions, in force from the moment the chunk leaves.
Visibility VisibilityOf(const SubHistory& history, const PolicyConfig& config, int blocks,
                        int instruction_tokens) {
  const BlockSchedule schedule(config.window_blocks, config.chunk_blocks);
  std::vector<DecisionEvent> events;
  for (const ChunkDecision& decision : history.decisions) {
    events.push_back({schedule.LeavesAfter(decision.chunk), decision});
  }
  std::sort(events.begin(), events.end(),
            [](const DecisionEvent& a, const DecisionEvent& b) { return a.block < b.block; });
  // Padding goes on where the history ends: later blocks, which nothing sees.
  std::vector<int> positions = history.blocks;
  while (static_cast<int>(positions.size()) < blocks) positions.push_back(positions.back() + 1);
  Result<Visibility> visibility =
      BuildVisibility(schedule, instruction_tokens, config.tokens_per_block(), positions, events,
                      ChunkAction::kWhole);
  if (!visibility.ok()) throw std::invalid_argument(visibility.status().message());
  return *std::move(visibility);
}

TrainingPlan PlanBatch(const Batch& batch, const PolicyConfig& config, int instruction_tokens,
                       torch::Device device) {
  std::vector<Visibility> samples;
  int last = config.age_clamp_blocks;
  for (const SubHistory& history : batch.histories) {
    samples.push_back(VisibilityOf(history, config, batch.blocks, instruction_tokens));
    last = std::max(last, samples.back().positions.back());
  }
  const RotaryTable rotary(config.head_dim(), config.rope_theta, last + 1);
  Result<TrainingPlan> plan = PlanTraining(samples, rotary, config.age_clamp_blocks, device);
  if (!plan.ok()) throw std::invalid_argument(plan.status().message());
  return *std::move(plan);
}

// [kv_heads, n, d] for all samples, or one each, in front of the blocks' own
// [samples, kv_heads, m, d].
torch::Tensor WithInstruction(const torch::Tensor& instruction, const torch::Tensor& blocks) {
  return torch::cat({instruction.expand({blocks.size(0), -1, -1, -1}), blocks}, 2);
}

// [samples * blocks, tokens_per_block, hidden]; nothing is spent on the padding.
torch::Tensor EncodeBatch(VlaNet& net, const Batch& batch, torch::Device device) {
  const torch::Tensor rows = batch.valid.flatten().nonzero().squeeze(1);
  const auto real = [&](const torch::Tensor& x) { return x.index_select(0, rows).to(device); };
  std::vector<torch::Tensor> images;
  for (const torch::Tensor& camera : batch.images) images.push_back(real(camera));
  const torch::Tensor blocks = net->EncodeBlocks(images, real(batch.proprio));
  return torch::zeros({batch.valid.numel(), blocks.size(1), blocks.size(2)}, blocks.options())
      .index_copy(0, rows.to(device), blocks);
}

// What the decoder makes of the blocks [samples, blocks, tokens_per_block, hidden] of a policy that
// caches; of the same shape.
torch::Tensor CachedDecoder(VlaNet& net, const Batch& batch, const std::vector<Qkv>& instruction,
                            const torch::Tensor& blocks, const TrainingAttend& attend) {
  const TrainingPlan plan =
      PlanBatch(batch, net->config(), net->InstructionTokens(batch.instruction), blocks.device());
  return net->decoder()
      ->forward(blocks.flatten(1, 2),  // [samples, blocks * tokens, hidden]
                [&](int layer, const Qkv& qkv) {
                  const torch::Tensor k = WithInstruction(instruction[layer].k, qkv.k);
                  const torch::Tensor v = WithInstruction(instruction[layer].v, qkv.v);
                  return attend ? attend(layer, qkv.q, k, v, plan)
                                : TrainingAttention(qkv.q, k, v, plan);
                })
      .view_as(blocks);
}

// The same of a recurrent policy: each block is seen beside the state after it, and the instruction
// at the distance that far tokens have.
torch::Tensor RecurrentDecoder(VlaNet& net, const Batch& batch, const std::vector<Qkv>& instruction,
                               const torch::Tensor& blocks) {
  const PolicyConfig& config = net->config();
  const torch::Tensor told = net->EmbedInstruction(batch.instruction.to(blocks.device()))
                                 .mean(-2)
                                 .view({-1, config.hidden_size});
  const torch::Tensor states = net->memory()->States(
      blocks, told, torch::zeros({batch.samples, config.recurrent_size}, blocks.options()));
  const RotaryTable rotary(config.head_dim(), config.rope_theta, config.age_clamp_blocks + 1);
  const torch::Tensor age = torch::full({1}, config.age_clamp_blocks, torch::kInt64);
  // [kv_heads, n, d] for all samples or one each, in front of each block's own
  // [samples, blocks, kv_heads, m, d].
  const auto with = [](const torch::Tensor& far, const torch::Tensor& near) {
    const torch::Tensor of_samples = far.dim() == 4 ? far.unsqueeze(1) : far;
    return torch::cat(
        {of_samples.to(near.dtype()).expand({near.size(0), near.size(1), -1, -1, -1}), near}, 3);
  };
  return net->decoder()
      ->forward(torch::cat({blocks, net->memory()->Tokens(states)}, 2),
                [&](int layer, const Qkv& qkv) {
                  const torch::Tensor keys = RotateBack(instruction[layer].k, rotary, age);
                  return InstructionAttention(qkv.q, with(keys, qkv.k),
                                              with(instruction[layer].v, qkv.v));
                })
      .narrow(2, 0, config.tokens_per_block());
}

}  // namespace

torch::Tensor TrainingHidden(VlaNet& net, const Batch& batch, const TrainingAttend& attend) {
  const PolicyConfig& config = net->config();
  const torch::Device device = net->parameters().front().device();
  const std::vector<Qkv> instruction = net->InstructionKeys(batch.instruction.to(device));
  torch::Tensor encoded = batch.encoded;
  if (!encoded.defined()) encoded = EncodeBatch(net, batch, device);
  const torch::Tensor blocks =
      encoded.view({batch.samples, batch.blocks, config.tokens_per_block(), config.hidden_size});
  return config.recurrent() ? RecurrentDecoder(net, batch, instruction, blocks)
                            : CachedDecoder(net, batch, instruction, blocks, attend);
}

HeadOutputs HeadsOf(VlaNet& net, const torch::Tensor& hidden, const Batch& batch, Told told) {
  return net->Heads(
      hidden, batch.proprio.to(hidden.device()).view({batch.samples, batch.blocks, kProprioDim}),
      told == Told::kTarget ? batch.target_class.to(hidden.device()) : torch::Tensor());
}

HeadOutputs TrainingForward(VlaNet& net, const Batch& batch, Told told,
                            const TrainingAttend& attend) {
  return HeadsOf(net, TrainingHidden(net, batch, attend), batch, told);
}

}  // namespace kvla
