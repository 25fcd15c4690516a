// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/training_forward.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

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

}  // namespace

torch::Tensor TrainingHidden(VlaNet& net, const Batch& batch, const TrainingAttend& attend) {
  const PolicyConfig& config = net->config();
  const torch::Device device = net->parameters().front().device();
  const TrainingPlan plan =
      PlanBatch(batch, config, net->InstructionTokens(batch.instruction), device);
  const std::vector<Qkv> instruction = net->InstructionKeys(batch.instruction.to(device));
  torch::Tensor encoded = batch.encoded;
  if (!encoded.defined()) encoded = EncodeBatch(net, batch, device);
  const torch::Tensor blocks =
      encoded.view({batch.samples, -1, config.hidden_size});  // [samples, blocks * tokens, hidden]
  const torch::Tensor hidden = net->decoder()->forward(blocks, [&](int layer, const Qkv& qkv) {
    const torch::Tensor k = WithInstruction(instruction[layer].k, qkv.k);
    const torch::Tensor v = WithInstruction(instruction[layer].v, qkv.v);
    return attend ? attend(layer, qkv.q, k, v, plan) : TrainingAttention(qkv.q, k, v, plan);
  });
  return hidden.view({batch.samples, batch.blocks, config.tokens_per_block(), config.hidden_size});
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
