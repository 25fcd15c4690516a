// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/gate/gate_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "base/rng.h"

namespace kvla {
namespace {

constexpr double kGradientNorm = 1.0;
constexpr double kWeightDecay = 1e-4;
constexpr double kLastRate = 0.05;  // of the learning rate, in the end
// A moved bias rounds: the chunk at the threshold must not fall below it.
constexpr double kRounding = 1e-4;
constexpr double kExact = 1e-9;  // .55 of 100 is 55, not the 55.000000000000007 of a double

double TrainEpoch(const GateTrainConfig& config, std::span<const LabelledChunks> train, Rng& rng,
                  ChunkGate& gate, torch::optim::Adam& optimizer) {
  std::vector<size_t> order(train.size());
  std::iota(order.begin(), order.end(), size_t{0});
  rng.Shuffle(order);
  double total = 0;
  for (const size_t i : order) {
    optimizer.zero_grad();
    // Features were recorded in inference mode; a clone may take part in autograd.
    const torch::Tensor loss =
        GateLoss(gate->Forward(train[i].features.clone()), train[i].useful.clone(),
                 train[i].counts.clone(), config.positive_weight);
    loss.backward();
    torch::nn::utils::clip_grad_norm_(gate->parameters(), kGradientNorm);
    optimizer.step();
    total += loss.item<double>();
  }
  return total / static_cast<double>(train.size());
}

double MeanLoss(std::span<const LabelledChunks> episodes, double positive_weight, ChunkGate& gate) {
  const std::vector<torch::Tensor> logits = GateLogits(episodes, gate);
  double total = 0;
  for (size_t i = 0; i < episodes.size(); ++i) {
    total +=
        GateLoss(logits[i], episodes[i].useful, episodes[i].counts, positive_weight).item<double>();
  }
  return total / static_cast<double>(episodes.size());
}

std::vector<torch::Tensor> CopyOfWeights(ChunkGate& gate) {
  std::vector<torch::Tensor> copy;
  for (const torch::Tensor& weight : gate->parameters()) copy.push_back(weight.detach().clone());
  return copy;
}

void SetWeights(const std::vector<torch::Tensor>& from, ChunkGate& gate) {
  const torch::NoGradGuard no_grad;
  const std::vector<torch::Tensor> weights = gate->parameters();
  for (size_t i = 0; i < from.size(); ++i) weights[i].copy_(from[i]);
}

}  // namespace

torch::Tensor GateLoss(const torch::Tensor& logits, const torch::Tensor& useful,
                       const torch::Tensor& counts, double positive_weight) {
  const torch::Tensor total = torch::binary_cross_entropy_with_logits(
      logits, useful, counts, torch::tensor(positive_weight, logits.options().requires_grad(false)),
      at::Reduction::Sum);
  return total / counts.sum().clamp_min(1);
}

Result<int> FitGate(const GateTrainConfig& config, std::span<const LabelledChunks> train,
                    std::span<const LabelledChunks> validation, ChunkGate& gate,
                    const std::function<bool(const GateEpoch&)>& on_epoch) {
  torch::optim::Adam optimizer(
      gate->parameters(),
      torch::optim::AdamOptions(config.learning_rate).weight_decay(kWeightDecay));
  Rng rng(StableHash(fmt::format("gate/{}", config.seed)));
  double least = std::numeric_limits<double>::infinity();
  int best = 0;
  std::vector<torch::Tensor> best_weights;
  for (int number = 1; number <= config.epochs; ++number) {
    const auto begin = std::chrono::steady_clock::now();
    const double share = static_cast<double>(number - 1) / config.epochs;
    for (auto& group : optimizer.param_groups()) {
      group.options().set_lr(config.learning_rate * (1.0 - (1.0 - kLastRate) * share));
    }
    GateEpoch epoch{.number = number};
    epoch.train_loss = TrainEpoch(config, train, rng, gate, optimizer);
    epoch.validation_loss = MeanLoss(validation, config.positive_weight, gate);
    epoch.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (epoch.validation_loss < least) {
      least = epoch.validation_loss;
      best = number;
      best_weights = CopyOfWeights(gate);
    }
    if (!on_epoch(epoch)) return Status(StatusCode::kCancelled, "stopped while fitting the gate");
  }
  SetWeights(best_weights, gate);
  return best;
}

double LogitOfRecall(std::vector<double> useful_logits, double recall) {
  if (useful_logits.empty()) return 0;
  std::sort(useful_logits.begin(), useful_logits.end());
  const auto count = static_cast<double>(useful_logits.size());
  const double needed = std::max(1.0, std::ceil(recall * count - kExact));
  return useful_logits[static_cast<size_t>(count - needed)];
}

double LogitOfF(std::vector<double> useful_logits, std::vector<double> other_logits, double beta) {
  std::ranges::sort(useful_logits, std::greater<>());
  std::ranges::sort(other_logits, std::greater<>());
  const double useful = static_cast<double>(useful_logits.size()), square = beta * beta;
  double best = -1, logit = 0;
  size_t others = 0;  // at or above it
  for (size_t i = 0; i < useful_logits.size(); ++i) {
    while (others < other_logits.size() && other_logits[others] >= useful_logits[i]) ++others;
    // (1 + b^2) hits / ((1 + b^2) hits + b^2 misses + false ones)
    const double hits = static_cast<double>(i + 1);
    const double f = (1 + square) * hits / (hits + square * useful + static_cast<double>(others));
    if (f < best) continue;
    best = f;
    logit = useful_logits[i];
  }
  return logit;
}

double CalibrateGate(const GateTrainConfig& config, std::span<const LabelledChunks> episodes,
                     ChunkGate& gate) {
  const torch::NoGradGuard no_grad;
  const std::vector<torch::Tensor> logits = GateLogits(episodes, gate);
  std::vector<double> useful, others;
  for (size_t e = 0; e < episodes.size(); ++e) {
    for (int64_t i = 0; i < logits[e].size(0); ++i) {
      if (episodes[e].counts[i].item<double>() < 0.5) continue;
      const bool wanted = episodes[e].useful[i].item<double>() > 0.5;
      (wanted ? useful : others).push_back(logits[e][i].item<double>());
    }
  }
  if (useful.empty()) return 0;
  const double wanted = config.beta > 0 ? LogitOfF(useful, others, config.beta)
                                        : LogitOfRecall(useful, config.recall);
  // No other useful chunk may come in with it.
  double margin = kRounding;
  for (const double logit : useful) {
    if (logit < wanted) margin = std::min(margin, (wanted - logit) / 2);
  }
  const double shift = wanted - margin;
  gate->named_parameters()["head.bias"].sub_(shift);
  return shift;
}

std::vector<torch::Tensor> GateLogits(std::span<const LabelledChunks> episodes, ChunkGate& gate) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> logits;
  for (const LabelledChunks& episode : episodes) logits.push_back(gate->Forward(episode.features));
  return logits;
}

GateCounts CountKept(std::span<const LabelledChunks> episodes,
                     std::span<const torch::Tensor> logits) {
  GateCounts counts;
  for (size_t e = 0; e < episodes.size(); ++e) {
    const LabelledChunks& episode = episodes[e];
    int useful = 0, useful_kept = 0;
    for (int64_t i = 0; i < logits[e].size(0); ++i) {
      const bool wanted = episode.useful[i].item<float>() > 0.5F;
      const bool kept = logits[e][i].item<float>() >= 0;
      if (episode.counts[i].item<float>() > 0.5F) {
        ++counts.chunks;
        counts.kept += kept;
        useful += wanted;
        useful_kept += wanted && kept;
      }
      if (!episode.saw_cue[static_cast<size_t>(i)]) continue;
      ++counts.cue;
      counts.cue_useful += wanted;
      counts.cue_kept += kept;
    }
    counts.useful += useful;
    counts.useful_kept += useful_kept;
    if (episode.target < 0 || useful == 0) continue;
    GateCounts::Rate& rate = counts.by_target[episode.target];
    ++rate.episodes;
    rate.kept += useful_kept > 0;
  }
  return counts;
}

}  // namespace kvla
