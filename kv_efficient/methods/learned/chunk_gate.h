// SPDX-License-Identifier: Apache-2.0
// The learned gate: which old chunk is worth keeping. torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_LEARNED_CHUNK_GATE_H_
#define KVLA_KV_EFFICIENT_METHODS_LEARNED_CHUNK_GATE_H_

#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/modules/rnn.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/status.h"
#include "kv_efficient/methods/learned/gate_shape.h"

namespace kvla {

// Keys and values of one chunk, [layers, kv_heads, tokens, head_dim] each with keys un-rotated, as
// the gate's input [tokens, layers * kv_heads * head_dim * 2]; leading batch dimensions are kept.
at::Tensor GateFeatures(const at::Tensor& keys, const at::Tensor& values);

// Layer norm over a token's features (no statistics shared over tokens or batch), an MLP on each
// token, mean and maximum over the chunk's tokens, an MLP, an LSTM from chunk to chunk, a linear
// head. Of a shape without MLP or LSTM: GateShape.
class ChunkGateImpl : public torch::nn::Module {
 public:
  // LSTM state, [B, hidden] each; undefined at the start of an episode, and without LSTM.
  struct State {
    at::Tensor h, c;
  };

  explicit ChunkGateImpl(const GateShape& shape);

  const GateShape& shape() const { return shape_; }
  // features [n, tokens, F] -> logits [n], or [B, n, tokens, F] -> [B, n]: chunks in order of
  // leaving. Causal: a logit depends on its own and earlier chunks of the same batch element.
  at::Tensor Forward(const at::Tensor& features);
  // One chunk: features [B, tokens, F] -> logits [B]; advances `state`.
  at::Tensor Step(const at::Tensor& features, State* state);
  // Utility is sigmoid(logit).
  double Flops() const;  // of one Step with B = 1

 private:
  at::Tensor Aggregate(const at::Tensor& features);  // [..., tokens, F] -> [..., hidden]
  // A chunk [B, hidden] after those before it.
  at::Tensor Remember(const at::Tensor& chunk, State* state);

  GateShape shape_;
  torch::nn::LayerNorm norm_{nullptr};
  torch::nn::Linear token1_{nullptr}, token2_{nullptr}, chunk_{nullptr}, head_{nullptr};
  torch::nn::LSTMCell lstm_{nullptr};
};
TORCH_MODULE(ChunkGate);

// In a gate's metadata: CheckpointHash() of the policy that it was trained for.
inline constexpr char kGatePolicyKey[] = "policy_hash";

// Safetensors; `metadata` (kGatePolicyKey, how it was trained) travels along.
Status SaveGate(const ChunkGate& gate, const std::filesystem::path& path,
                std::map<std::string, std::string> metadata);
struct LoadedGate {
  ChunkGate gate{nullptr};
  std::map<std::string, std::string> metadata;
};
Result<LoadedGate> LoadGate(const std::filesystem::path& path);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_LEARNED_CHUNK_GATE_H_
