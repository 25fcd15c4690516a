// SPDX-License-Identifier: Apache-2.0
#include "policy/backbones/vision_layer.h"

#include "policy/backbones/attention.h"
#include "policy/backbones/llama_layer.h"
#include "tensors/torch.h"

namespace kvla {

at::Tensor LayerNorm::operator()(const at::Tensor& x, double epsilon) const {
  return torch::layer_norm(x, weight.sizes(), weight, bias, epsilon);
}

LayerNorm TakeLayerNorm(NamedWeights* weights, const std::string& name, int width) {
  return {weights->Take(name + ".weight", {width}), weights->Take(name + ".bias", {width})};
}

VisionLayer::VisionLayer(NamedWeights* weights, const std::string& prefix, const VisionSizes& sizes)
    : heads_(sizes.heads), epsilon_(sizes.epsilon) {
  const auto linear = [&](const std::string& name, int outputs, int inputs) {
    return weights->TakeLinear(prefix + name, outputs, inputs, /*bias=*/true);
  };
  norm1_ = TakeLayerNorm(weights, prefix + "layer_norm1", sizes.hidden);
  norm2_ = TakeLayerNorm(weights, prefix + "layer_norm2", sizes.hidden);
  q_ = linear("self_attn.q_proj", sizes.hidden, sizes.hidden);
  k_ = linear("self_attn.k_proj", sizes.hidden, sizes.hidden);
  v_ = linear("self_attn.v_proj", sizes.hidden, sizes.hidden);
  out_ = linear("self_attn.out_proj", sizes.hidden, sizes.hidden);
  fc1_ = linear("mlp.fc1", sizes.mlp, sizes.hidden);
  fc2_ = linear("mlp.fc2", sizes.hidden, sizes.mlp);
}

at::Tensor VisionLayer::Run(const at::Tensor& x) const {
  const at::Tensor normed = norm1_(x, epsilon_);
  const auto heads = [&](const LinearMap& map) { return SplitHeads(map(normed), heads_); };
  const AttendedRows attended = AttendAll(heads(q_), heads(k_), heads(v_));
  const at::Tensor after = x + out_(attended.out.transpose(0, 1).flatten(1));
  return after + fc2_(torch::gelu(fc1_(norm2_(after, epsilon_)), "tanh"));
}

}  // namespace kvla
