// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/methods/write_gate.h"

#include <fmt/format.h>

#include <utility>

#include "kv_efficient/methods/gate_weights.h"
#include "tensors/safetensors.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr char kFormat[] = "kvla_write_gate";
constexpr double kOpenBias = 2;  // at first nearly everything is kept
constexpr double kLeastSquare = 1e-6;

at::Tensor Scaled(const at::Tensor& x) {
  return x * torch::rsqrt(x.square().mean(-1, true) + kLeastSquare);
}

at::Tensor Mlp(const at::Tensor& input, const at::Tensor& in_weight, const at::Tensor& in_bias,
               const at::Tensor& out_weight, const at::Tensor& out_bias) {
  const at::Tensor inner = torch::silu(torch::matmul(input, in_weight) + in_bias);
  return (torch::matmul(inner, out_weight) + out_bias).squeeze(-1);
}

}  // namespace

WriteGateImpl::WriteGateImpl(const WriteGateShape& s) : shape_(s) {
  const int64_t width = 2 * int64_t{s.head_dim};
  const auto random = [&](int64_t rows, int64_t columns) {
    return torch::randn({s.layers, s.kv_heads, rows, columns}) /
           std::sqrt(static_cast<double>(rows));
  };
  in_weight_ = register_parameter("in_weight", random(width, s.hidden));
  in_bias_ = register_parameter("in_bias", torch::zeros({s.layers, s.kv_heads, 1, s.hidden}));
  out_weight_ = register_parameter("out_weight", random(s.hidden, 1));
  out_bias_ = register_parameter("out_bias", torch::full({s.layers, s.kv_heads, 1, 1}, kOpenBias));
}

at::Tensor WriteGateImpl::Logits(int layer, const at::Tensor& keys,
                                 const at::Tensor& rotated) const {
  return Mlp(torch::cat({Scaled(keys), Scaled(rotated)}, -1), in_weight_[layer], in_bias_[layer],
             out_weight_[layer], out_bias_[layer]);
}

at::Tensor WriteGateImpl::Logits(int layer, int kv_head, const at::Tensor& keys,
                                 const at::Tensor& rotated) const {
  return Mlp(torch::cat({Scaled(keys), Scaled(rotated)}, -1), in_weight_[layer][kv_head],
             in_bias_[layer][kv_head], out_weight_[layer][kv_head], out_bias_[layer][kv_head]);
}

double WriteGateImpl::Flops() const {
  return 2.0 * shape_.hidden * (2 * shape_.head_dim + 1) + 6.0 * shape_.head_dim;
}

Status SaveWriteGate(const WriteGate& gate, const std::filesystem::path& path,
                     std::map<std::string, std::string> metadata) {
  TensorFile file;
  for (const auto& item : gate->named_parameters()) {
    file.tensors[item.key()] = item.value().detach().to(torch::kCPU).contiguous();
  }
  metadata["format"] = kFormat;
  file.metadata = std::move(metadata);
  return WriteSafetensors(path, file);
}

Result<WriteGate> LoadWriteGate(const std::filesystem::path& path, const CacheGeometry& geometry) {
  Result<TensorFile> file = ReadWeights(path);
  if (!file.ok()) return file.status().In("write gate");
  const auto bad = [&](const std::string& what) {
    return BadInput(fmt::format("write gate '{}': {}", path.string(), what));
  };
  if (file->metadata["format"] != kFormat) return bad("this is not the checkpoint of a write gate");
  const auto widest = file->tensors.find("in_weight");
  if (widest == file->tensors.end() || widest->second.dim() != 4) {
    return bad("tensor 'in_weight' is missing or of another shape");
  }
  const auto sizes = widest->second.sizes();
  if (sizes[0] != geometry.layers || sizes[1] != geometry.kv_heads ||
      sizes[2] != 2 * int64_t{geometry.head_dim} || sizes[3] < 1) {
    return bad(fmt::format(
        "it was trained for {} layers of {} KV heads of {} dimensions; this decoder has {} of {} "
        "of {}",
        sizes[0], sizes[1], sizes[2] / 2, geometry.layers, geometry.kv_heads, geometry.head_dim));
  }
  WriteGate gate(WriteGateShape{geometry.layers, geometry.kv_heads, geometry.head_dim,
                                static_cast<int>(sizes[3])});
  if (Status s = FillGate(*file, *gate); !s.ok()) return bad(s.message());
  return gate;
}

}  // namespace kvla
