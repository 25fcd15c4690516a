// SPDX-License-Identifier: Apache-2.0
// Learned write gates: which tokens are worth keeping, told by their keys alone. torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_LEARNED_WRITE_GATE_H_
#define KVLA_KV_EFFICIENT_METHODS_LEARNED_WRITE_GATE_H_

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
  int hidden = 16;  // 0: linear in its input
  bool operator==(const WriteGateShape&) const = default;
};

// An MLP (wg_kv) or a linear map (dms) for each lane (layer, KV head) on a key as it is and as its
// position rotates it, both scaled to a root mean square of 1.
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
  // [layers, kv_heads, ...]: [2 * head_dim, hidden], [1, hidden], [hidden, 1], [1, 1]. A linear one
  // has the last two alone, [2 * head_dim, 1] and [1, 1].
  at::Tensor in_weight_, in_bias_, out_weight_, out_bias_;
};
TORCH_MODULE(WriteGate);

// Safetensors; `method` is whose gate it is, `metadata` (kGatePolicyKey of chunk_gate.h, how it was
// trained) travels along.
Status SaveWriteGate(const WriteGate& gate, const std::string& method,
                     const std::filesystem::path& path,
                     std::map<std::string, std::string> metadata);
// BadInput: a file that is none, of another method, or of another decoder than `geometry`.
Result<WriteGate> LoadWriteGate(const std::filesystem::path& path, const std::string& method,
                                const CacheGeometry& geometry);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_LEARNED_WRITE_GATE_H_
