// SPDX-License-Identifier: Apache-2.0
// A layer of a published Llama, its attention left to the caller. torch.
#ifndef KVLA_POLICY_BACKBONES_LLAMA_LAYER_H_
#define KVLA_POLICY_BACKBONES_LLAMA_LAYER_H_

#include <ATen/core/Tensor.h>

#include <string>

#include "policy/backbones/named_weights.h"
#include "policy/backbones/sizes.h"
#include "policy/compact/net/decoder.h"

namespace kvla {

// [n, heads * head_dim] -> [heads, n, head_dim], a view.
at::Tensor SplitHeads(const at::Tensor& x, int heads);

at::Tensor RmsNormed(const at::Tensor& x, const at::Tensor& weight, double epsilon);

// Immutable.
class LlamaLayer {
 public:
  // By the names of Hugging Face's Llama below `prefix`. `kv_inputs`: what its maps of keys and
  // values read; the hidden state's width but for layers that attend to another model's rows.
  LlamaLayer(NamedWeights* weights, const std::string& prefix, const LlamaSizes& sizes,
             int kv_inputs);

  // x [n, hidden] -> its norm, which queries, keys and values are made of.
  at::Tensor Normed(const at::Tensor& x) const;
  at::Tensor Queries(const at::Tensor& normed) const;  // [heads, n, head_dim], un-rotated
  at::Tensor Keys(const at::Tensor& rows) const;       // [n, kv_inputs] -> [kv_heads, n, head_dim]
  at::Tensor Values(const at::Tensor& rows) const;
  Qkv Project(const at::Tensor& x) const;  // all three, of x's norm
  // The layer's output, of its input and what its queries attended to, [heads, n, head_dim].
  at::Tensor Output(const at::Tensor& x, const at::Tensor& attended) const;

 private:
  LlamaSizes sizes_;
  at::Tensor input_norm_, post_attention_norm_;
  LinearMap q_, k_, v_, o_, gate_, up_, down_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_LLAMA_LAYER_H_
