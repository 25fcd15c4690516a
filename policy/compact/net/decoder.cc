// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/net/decoder.h"

#include <string>

#include "policy/compact/net/shapes.h"

namespace kvla {
namespace {

torch::nn::Linear NoBias(int in, int out) {
  return torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(false));
}

// [..., n, heads * d] -> [..., heads, n, d]
torch::Tensor SplitHeads(const torch::Tensor& x, int heads) {
  return x.unflatten(-1, {heads, -1}).transpose(-3, -2);
}

}  // namespace

RmsNormImpl::RmsNormImpl(int size) { weight_ = register_parameter("weight", torch::ones({size})); }

torch::Tensor RmsNormImpl::forward(const torch::Tensor& x) {
  return torch::rms_norm(x, weight_.sizes(), weight_, kRmsNormEpsilon);
}

SelfAttentionImpl::SelfAttentionImpl(const DecoderSizes& sizes) : sizes_(sizes) {
  const int head_dim = sizes.head_dim();
  q_proj_ = register_module("q_proj", NoBias(sizes.hidden_size, sizes.num_heads * head_dim));
  k_proj_ = register_module("k_proj", NoBias(sizes.hidden_size, sizes.num_kv_heads * head_dim));
  v_proj_ = register_module("v_proj", NoBias(sizes.hidden_size, sizes.num_kv_heads * head_dim));
  o_proj_ = register_module("o_proj", NoBias(sizes.num_heads * head_dim, sizes.hidden_size));
}

Qkv SelfAttentionImpl::Project(const torch::Tensor& x) {
  return {SplitHeads(q_proj_(x), sizes_.num_heads), SplitHeads(k_proj_(x), sizes_.num_kv_heads),
          SplitHeads(v_proj_(x), sizes_.num_kv_heads)};
}

torch::Tensor SelfAttentionImpl::Output(const torch::Tensor& attended) {
  return o_proj_(attended.transpose(-3, -2).flatten(-2));
}

MlpImpl::MlpImpl(const DecoderSizes& sizes) {
  gate_proj_ = register_module("gate_proj", NoBias(sizes.hidden_size, sizes.intermediate_size));
  up_proj_ = register_module("up_proj", NoBias(sizes.hidden_size, sizes.intermediate_size));
  down_proj_ = register_module("down_proj", NoBias(sizes.intermediate_size, sizes.hidden_size));
}

torch::Tensor MlpImpl::forward(const torch::Tensor& x) {
  return down_proj_(torch::silu(gate_proj_(x)) * up_proj_(x));
}

DecoderLayerImpl::DecoderLayerImpl(const DecoderSizes& sizes) {
  input_norm_ = register_module("input_layernorm", RmsNorm(sizes.hidden_size));
  attention_ = register_module("self_attn", SelfAttention(sizes));
  post_attention_norm_ = register_module("post_attention_layernorm", RmsNorm(sizes.hidden_size));
  mlp_ = register_module("mlp", Mlp(sizes));
}

torch::Tensor DecoderLayerImpl::forward(const torch::Tensor& x, int layer,
                                        const AttentionFn& attend) {
  const Qkv qkv = attention_->Project(input_norm_(x));
  const torch::Tensor attended = x + attention_->Output(attend(layer, qkv));
  return attended + mlp_(post_attention_norm_(attended));
}

DecoderImpl::DecoderImpl(const DecoderSizes& sizes) {
  if (sizes.vocabulary > 0) {
    embed_tokens_ =
        register_module("embed_tokens", torch::nn::Embedding(sizes.vocabulary, sizes.hidden_size));
  }
  torch::nn::ModuleList list;
  for (int i = 0; i < sizes.num_layers; ++i) {
    layers_.emplace_back(sizes);
    list->push_back(layers_.back());
  }
  register_module("layers", list);
  norm_ = register_module("norm", RmsNorm(sizes.hidden_size));
}

torch::Tensor DecoderImpl::Embed(const torch::Tensor& ids) { return embed_tokens_(ids); }

torch::Tensor DecoderImpl::forward(torch::Tensor x, const AttentionFn& attend) {
  for (size_t i = 0; i < layers_.size(); ++i) {
    x = layers_[i]->forward(x, static_cast<int>(i), attend);
  }
  return norm_(x);
}

}  // namespace kvla
