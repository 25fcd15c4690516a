// SPDX-License-Identifier: Apache-2.0
#include "policy/backbones/llama_layer.h"

#include "tensors/torch.h"

namespace kvla {

at::Tensor SplitHeads(const at::Tensor& x, int heads) {
  return x.unflatten(-1, {heads, -1}).transpose(0, 1);
}

at::Tensor RmsNormed(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  return torch::rms_norm(x, weight.sizes(), weight, epsilon);
}

LlamaLayer::LlamaLayer(NamedWeights* weights, const std::string& prefix, const LlamaSizes& sizes,
                       int kv_inputs)
    : sizes_(sizes) {
  const std::string attention = prefix + "self_attn.", mlp = prefix + "mlp.";
  const auto take = [&](const std::string& name, int outputs, int inputs) {
    return weights->TakeLinear(name, outputs, inputs, /*bias=*/false);
  };
  input_norm_ = weights->Take(prefix + "input_layernorm.weight", {sizes.hidden});
  q_ = take(attention + "q_proj", sizes.query_width(), sizes.hidden);
  k_ = take(attention + "k_proj", sizes.kv_width(), kv_inputs);
  v_ = take(attention + "v_proj", sizes.kv_width(), kv_inputs);
  o_ = take(attention + "o_proj", sizes.hidden, sizes.query_width());
  post_attention_norm_ = weights->Take(prefix + "post_attention_layernorm.weight", {sizes.hidden});
  gate_ = take(mlp + "gate_proj", sizes.mlp, sizes.hidden);
  up_ = take(mlp + "up_proj", sizes.mlp, sizes.hidden);
  down_ = take(mlp + "down_proj", sizes.hidden, sizes.mlp);
}

at::Tensor LlamaLayer::Normed(const at::Tensor& x) const {
  return RmsNormed(x, input_norm_, sizes_.epsilon);
}

at::Tensor LlamaLayer::Queries(const at::Tensor& normed) const {
  return SplitHeads(q_(normed), sizes_.heads);
}

at::Tensor LlamaLayer::Keys(const at::Tensor& rows) const {
  return SplitHeads(k_(rows), sizes_.kv_heads);
}

at::Tensor LlamaLayer::Values(const at::Tensor& rows) const {
  return SplitHeads(v_(rows), sizes_.kv_heads);
}

Qkv LlamaLayer::Project(const at::Tensor& x) const {
  const at::Tensor normed = Normed(x);
  return {Queries(normed), Keys(normed), Values(normed)};
}

at::Tensor LlamaLayer::Output(const at::Tensor& x, const at::Tensor& attended) const {
  const at::Tensor after = x + o_(attended.transpose(0, 1).flatten(1));
  const at::Tensor normed = RmsNormed(after, post_attention_norm_, sizes_.epsilon);
  return after + down_(torch::silu(gate_(normed)) * up_(normed));
}

}  // namespace kvla
