// SPDX-License-Identifier: Apache-2.0
// The learned write gate of WG-KV (arXiv 2512.17452): which tokens are worth keeping, told by their
// keys alone. torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_WRITE_GATE_H_
#define KVLA_KV_EFFICIENT_METHODS_WRITE_GATE_H_

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <filesystem>
#include <map>
#include <string>

#include "base/status.h"
#include "kv_efficient/cache_geometry.h"

namespace kvla {

struct WriteGateShape {
  int layers = 0, kv_heads = 0, head_dim = 0;
  int hidden = 16;
  bool operator==(const WriteGateShape&) const = default;
};

// An MLP for each lane (layer, KV head) on a key as it is and as its position rotates it, both
// scaled to a root mean square of 1.
class WriteGateImpl : public torch::nn::Module {
 public:
  explicit WriteGateImpl(const WriteGateShape& shape);

  const WriteGateShape& shape() const { return shape_; }
  // Of one layer: keys and rotated [..., kv_heads, n, head_dim] -> logits [..., kv_heads, n]; the
  // gate is their sigmoid. Differentiable.
  at::Tensor Logits(int layer, const at::Tensor& keys, const at::Tensor& rotated) const;
  // Of one lane: [n, head_dim] -> [n].
  at::Tensor Logits(int layer, int kv_head, const at::Tensor& keys,
                    const at::Tensor& rotated) const;
  double Flops() const;  // of one token and lane

 private:
  WriteGateShape shape_;
  // [layers, kv_heads, ...]: [2 * head_dim, hidden], [1, hidden], [hidden, 1], [1, 1].
  at::Tensor in_weight_, in_bias_, out_weight_, out_bias_;
};
TORCH_MODULE(WriteGate);

// Safetensors; `metadata` (kGatePolicyKey of chunk_gate.h, how it was trained) travels along.
Status SaveWriteGate(const WriteGate& gate, const std::filesystem::path& path,
                     std::map<std::string, std::string> metadata);
// BadInput: a file that is none, or of another decoder than `geometry`.
Result<WriteGate> LoadWriteGate(const std::filesystem::path& path, const CacheGeometry& geometry);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_WRITE_GATE_H_
