// SPDX-License-Identifier: Apache-2.0
#include "policy/backbones/smolvla/action_expert.h"

#include <cmath>
#include <numbers>
#include <utility>

#include "policy/backbones/attention.h"
#include "policy/backbones/cross_rows.h"
#include "tensors/torch.h"

namespace kvla {

ActionExpert::ActionExpert(NamedWeights* weights, const SmolVlaConfig& config,
                           std::shared_ptr<const RotaryTable> rotary)
    : config_(config), rotary_(std::move(rotary)) {
  const std::string prefix = "model.vlm_with_expert.lm_expert.";
  const LlamaSizes& sizes = config.expert;
  for (int i = 0; i < sizes.layers; ++i) {
    layers_.emplace_back(weights, prefix + "layers." + std::to_string(i) + ".", sizes,
                         config.cross[i] ? config.vlm.text.kv_width() : sizes.hidden);
  }
  norm_ = weights->Take(prefix + "norm.weight", {sizes.hidden});
  const auto linear = [&](const char* name, int outputs, int inputs) {
    return weights->TakeLinear(std::string("model.") + name, outputs, inputs, /*bias=*/true);
  };
  action_in_ = linear("action_in_proj", sizes.hidden, config.max_action);
  action_out_ = linear("action_out_proj", config.max_action, sizes.hidden);
  time_in_ = linear("action_time_mlp_in", sizes.hidden, 2 * sizes.hidden);
  time_out_ = linear("action_time_mlp_out", sizes.hidden, sizes.hidden);
}

std::vector<KvRows> ActionExpert::CrossRows(PrefixAttention* prefix) const {
  std::vector<KvRows> cross(layers_.size());
  for (size_t layer = 0; layer < config_.expert_layer.size(); ++layer) {
    const int own = config_.expert_layer[layer];
    if (own < 0 || !config_.cross[own]) continue;
    cross[own] = CrossRowsOf(layers_[own], prefix->Rows(static_cast<int>(layer)));
  }
  return cross;
}

// Sine and cosine of the time at periods from min_period to max_period, in f64 as LeRobot has it.
at::Tensor ActionExpert::Embedded(const at::Tensor& x, float time) const {
  const int64_t half = config_.expert.hidden / 2;
  const at::Tensor share = torch::linspace(0, 1, half, torch::kFloat64);
  const at::Tensor period =
      config_.min_period * torch::pow(config_.max_period / config_.min_period, share);
  const at::Tensor angle = period.reciprocal() * 2 * std::numbers::pi * static_cast<double>(time);
  const at::Tensor embedded = torch::cat({angle.sin(), angle.cos()}).to(at::kFloat);
  const at::Tensor action = action_in_(x);
  const at::Tensor both = torch::cat({action, embedded.expand_as(action)}, 1);
  return time_out_(torch::silu(time_in_(both)));
}

at::Tensor ActionExpert::Velocity(const at::Tensor& x, float time, int prefix_tokens,
                                  const std::vector<KvRows>& cross, PrefixAttention* prefix,
                                  const StageFn& stage, const std::string& name) const {
  at::Tensor hidden = Embedded(x, time);
  Tell(stage, name + "suffix", hidden);
  const int64_t chunk = x.size(0);
  const at::Tensor alone = torch::arange(chunk), behind = alone + prefix_tokens;
  for (size_t layer = 0; layer < config_.expert_layer.size(); ++layer) {
    const int own = config_.expert_layer[layer];
    if (own < 0) continue;
    const LlamaLayer& part = layers_[own];
    at::Tensor attended;
    if (config_.cross[own]) {
      const at::Tensor q = Rotate(part.Queries(part.Normed(hidden)), *rotary_, alone);
      attended = prefix->Over(q, cross[own]);
    } else {
      Qkv rows = part.Project(hidden);
      rows.q = Rotate(rows.q, *rotary_, behind);
      rows.k = Rotate(rows.k, *rotary_, behind);
      attended = Merged(prefix->Query(static_cast<int>(layer), rows.q),
                        AttendCausal(rows.q, rows.k, rows.v))
                     .out;
    }
    hidden = part.Output(hidden, attended);
    Tell(stage, name + "layer." + std::to_string(own), hidden);
  }
  const at::Tensor velocity = action_out_(RmsNormed(hidden, norm_, config_.expert.epsilon));
  Tell(stage, name + "velocity", velocity);
  return velocity;
}

}  // namespace kvla
