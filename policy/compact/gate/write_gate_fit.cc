// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/gate/write_gate_fit.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/rng.h"
#include "kv_efficient/rotary.h"
#include "kv_efficient/training/training_regions.h"
#include "policy/compact/training/parallel_backward.h"

namespace kvla {
namespace {

constexpr double kGradientNorm = 1.0;
constexpr double kLastRate = 0.05;       // of the learning rate, in the end
constexpr double kRatioGrows = 2.0 / 3;  // of the training
constexpr double kLeastUniform = 1e-6;

// Logistic noise, the difference of two Gumbel draws.
torch::Tensor LogisticNoise(const torch::Tensor& like, uint64_t key) {
  at::Generator generator = at::detail::createCPUGenerator(key);
  const torch::Tensor u =
      torch::rand(like.sizes(), generator, torch::kFloat32).clamp(kLeastUniform, 1 - kLeastUniform);
  return u.log() - (1 - u).log();
}

// Log of the weight of a token, and the weight.
std::pair<torch::Tensor, torch::Tensor> Weights(const torch::Tensor& logits,
                                                const GateOpening& opening, int layer) {
  switch (opening.opening) {
    case Opening::kHard:
    case Opening::kShut: {
      const torch::Tensor open =
          opening.opening == Opening::kHard ? logits >= 0 : torch::zeros_like(logits) > 0;
      return {torch::where(open, 0.0F, kUnseenLogit), open.to(torch::kFloat32)};
    }
    case Opening::kRelaxed: {
      const torch::Tensor drawn =
          (logits + LogisticNoise(logits, opening.noise_key + static_cast<uint64_t>(layer))) /
          opening.temperature;
      return {torch::log_sigmoid(drawn), torch::sigmoid(drawn)};
    }
    case Opening::kSoft:
      break;
  }
  return {torch::log_sigmoid(logits), torch::sigmoid(logits)};
}

}  // namespace

torch::Tensor GatedPass::Attend(int layer, const torch::Tensor& q, const torch::Tensor& k,
                                const torch::Tensor& v, const TrainingPlan& plan) {
  const torch::Tensor keys = k.narrow(2, plan.instruction_tokens, plan.tokens);
  const torch::Tensor logits = gate_->Logits(layer, keys, Rotate(keys, plan.cos, plan.sin));
  const auto [bias, weight] = Weights(logits, opening_, layer);
  const int64_t chunk = int64_t{plan.chunk_blocks} * plan.tokens_per_block;
  kept_.push_back(weight.narrow(2, 0, plan.complete_chunks * chunk).mean());
  const auto whole = [&](int64_t columns) { return torch::zeros({k.size(0), k.size(1), columns}); };
  return TrainingAttention(
      q, k, v, plan,
      torch::cat({whole(plan.instruction_tokens), bias,
                  whole(int64_t{plan.complete_chunks} * plan.tokens_per_block)},
                 2));
}

double DmsAim(double share, double final_share) {
  const double grown = std::min(1.0, share / kRatioGrows);
  return 1 / (1 + grown * (1 / final_share - 1));
}

Status FitWriteGate(const WriteGateTrainConfig& config, const WriteGateTeacher& teacher,
                    const std::function<double()>& spent, WriteGate& gate,
                    const std::function<bool(const WriteGateStep&)>& on_step) {
  const bool dms = config.method == "dms";
  torch::optim::Adam optimizer(gate->parameters(), torch::optim::AdamOptions(config.learning_rate));
  const auto batch = static_cast<size_t>(config.batch);
  for (int number = 1; number <= config.steps; ++number) {
    const auto begin = std::chrono::steady_clock::now();
    WriteGateStep step{.number = number};
    step.share = std::max(static_cast<double>(number - 1) / config.steps, spent ? spent() : 0.0);
    if (step.share >= 1) break;
    for (auto& group : optimizer.param_groups()) {
      group.options().set_lr(config.learning_rate * (1.0 - (1.0 - kLastRate) * step.share));
    }
    std::vector<double> distances(batch), kept(batch);
    step.loss = ParallelBackward(gate->parameters(), batch, config.threads, [&](size_t part) {
      const uint64_t noise =
          StableHash(fmt::format("write_gate/{}/{}/{}", config.seed, number, part));
      GatedPass pass(gate, {dms ? Opening::kRelaxed : Opening::kSoft, config.temperature, noise});
      const torch::Tensor distance = teacher(number, part, pass);
      const torch::Tensor held = pass.kept();
      distances[part] = distance.item<double>();
      kept[part] = held.item<double>();
      const torch::Tensor much = dms ? torch::relu(held - DmsAim(step.share, config.share)) : held;
      return (distance + config.sparsity * much) / static_cast<double>(batch);
    });
    torch::nn::utils::clip_grad_norm_(gate->parameters(), kGradientNorm);
    optimizer.step();
    for (size_t part = 0; part < batch; ++part) {
      step.distance += distances[part] / static_cast<double>(batch);
      step.kept += kept[part] / static_cast<double>(batch);
    }
    step.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (!on_step(step)) return {StatusCode::kCancelled, "stopped while fitting the write gate"};
  }
  return {};
}

}  // namespace kvla
