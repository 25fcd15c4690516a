// SPDX-License-Identifier: Apache-2.0
// A Llama-style decoder whose attention is handed in. Includes torch.
//
// Parameter names are those of Hugging Face's Llama under the prefix "model.", so that a
// published checkpoint loads without renaming.
#ifndef KVLA_POLICY_COMPACT_NET_DECODER_H_
#define KVLA_POLICY_COMPACT_NET_DECODER_H_

#include <functional>
#include <vector>

#include "tensors/torch.h"

namespace kvla {

struct DecoderSizes {
  int hidden_size, num_layers, num_heads, num_kv_heads, intermediate_size;
  int vocabulary;  // 0: it embeds no ids
  int head_dim() const { return hidden_size / num_heads; }
};

// Un-rotated projections of one layer: q [..., heads, n, head_dim], k and v
// [..., kv_heads, n, head_dim].
struct Qkv {
  torch::Tensor q, k, v;
};

class RmsNormImpl : public torch::nn::Module {
 public:
  explicit RmsNormImpl(int size);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  torch::Tensor weight_;
};
TORCH_MODULE(RmsNorm);

class SelfAttentionImpl : public torch::nn::Module {
 public:
  explicit SelfAttentionImpl(const DecoderSizes& sizes);
  Qkv Project(const torch::Tensor& x);                  // x: [..., n, hidden]
  torch::Tensor Output(const torch::Tensor& attended);  // [..., heads, n, head_dim] -> hidden

 private:
  DecoderSizes sizes_;
  torch::nn::Linear q_proj_{nullptr}, k_proj_{nullptr}, v_proj_{nullptr}, o_proj_{nullptr};
};
TORCH_MODULE(SelfAttention);

class MlpImpl : public torch::nn::Module {
 public:
  explicit MlpImpl(const DecoderSizes& sizes);
  torch::Tensor forward(const torch::Tensor& x);  // SwiGLU

 private:
  torch::nn::Linear gate_proj_{nullptr}, up_proj_{nullptr}, down_proj_{nullptr};
};
TORCH_MODULE(Mlp);

// (layer, projections) -> attended [..., heads, n, head_dim]
using AttentionFn = std::function<torch::Tensor(int layer, const Qkv& qkv)>;

class DecoderLayerImpl : public torch::nn::Module {
 public:
  explicit DecoderLayerImpl(const DecoderSizes& sizes);
  torch::Tensor forward(const torch::Tensor& x, int layer, const AttentionFn& attend);

 private:
  RmsNorm input_norm_{nullptr}, post_attention_norm_{nullptr};
  SelfAttention attention_{nullptr};
  Mlp mlp_{nullptr};
};
TORCH_MODULE(DecoderLayer);

class DecoderImpl : public torch::nn::Module {
 public:
  explicit DecoderImpl(const DecoderSizes& sizes);
  // ids: [n] -> [n, hidden]. REQUIRES: a vocabulary.
  torch::Tensor Embed(const torch::Tensor& ids);
  // x: [..., n, hidden] -> the same shape after all layers and the final norm.
  torch::Tensor forward(torch::Tensor x, const AttentionFn& attend);

 private:
  torch::nn::Embedding embed_tokens_{nullptr};
  std::vector<DecoderLayer> layers_;
  RmsNorm norm_{nullptr};
};
TORCH_MODULE(Decoder);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_NET_DECODER_H_
