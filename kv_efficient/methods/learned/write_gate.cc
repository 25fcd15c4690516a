// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/methods/learned/write_gate.h"

#include <fmt/format.h>

#include <utility>

#include "kv_efficient/methods/learned/gate_weights.h"
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

// `in_weight` undefined: linear.
at::Tensor Apply(const at::Tensor& keys, const at::Tensor& rotated, const at::Tensor& in_weight,
                 const at::Tensor& in_bias, const at::Tensor& out_weight,
                 const at::Tensor& out_bias) {
  at::Tensor inner = torch::cat({Scaled(keys), Scaled(rotated)}, -1);
  if (in_weight.defined()) inner = torch::silu(torch::matmul(inner, in_weight) + in_bias);
  return (torch::matmul(inner, out_weight) + out_bias).squeeze(-1);
}

}  // namespace

WriteGateImpl::WriteGateImpl(const WriteGateShape& s) : shape_(s) {
  const int64_t width = 2 * int64_t{s.head_dim};
  const auto random = [&](int64_t rows, int64_t columns) {
    return torch::randn({s.layers, s.kv_heads, rows, columns}) /
           std::sqrt(static_cast<double>(rows));
  };
  if (s.hidden > 0) {
    in_weight_ = register_parameter("in_weight", random(width, s.hidden));
    in_bias_ = register_parameter("in_bias", torch::zeros({s.layers, s.kv_heads, 1, s.hidden}));
  }
  out_weight_ = register_parameter("out_weight", random(s.hidden > 0 ? s.hidden : width, 1));
  out_bias_ = register_parameter("out_bias", torch::full({s.layers, s.kv_heads, 1, 1}, kOpenBias));
}

at::Tensor WriteGateImpl::Logits(int layer, const at::Tensor& keys,
                                 const at::Tensor& rotated) const {
  const auto of = [&](const at::Tensor& x) { return x.defined() ? x[layer] : x; };
  return Apply(keys, rotated, of(in_weight_), of(in_bias_), of(out_weight_), of(out_bias_));
}

at::Tensor WriteGateImpl::Logits(int layer, int kv_head, const at::Tensor& keys,
                                 const at::Tensor& rotated) const {
  const auto of = [&](const at::Tensor& x) { return x.defined() ? x[layer][kv_head] : x; };
  return Apply(keys, rotated, of(in_weight_), of(in_bias_), of(out_weight_), of(out_bias_));
}

double WriteGateImpl::Flops() const {
  const double width = 2.0 * shape_.head_dim;
  return (shape_.hidden > 0 ? 2.0 * shape_.hidden * (width + 1) : 2 * width) + 3 * width;
}

Status SaveWriteGate(const WriteGate& gate, const std::string& method,
                     const std::filesystem::path& path,
                     std::map<std::string, std::string> metadata) {
  TensorFile file;
  for (const auto& item : gate->named_parameters()) {
    file.tensors[item.key()] = item.value().detach().to(torch::kCPU).contiguous();
  }
  metadata["format"] = kFormat;
  metadata["method"] = method;
  file.metadata = std::move(metadata);
  return WriteSafetensors(path, file);
}

Result<WriteGate> LoadWriteGate(const std::filesystem::path& path, const std::string& method,
                                const CacheGeometry& geometry) {
  Result<TensorFile> file = ReadWeights(path);
  if (!file.ok()) return file.status().In("write gate");
  const auto bad = [&](const std::string& what) {
    return BadInput(fmt::format("write gate '{}': {}", path.string(), what));
  };
  if (file->metadata["format"] != kFormat) return bad("this is not the checkpoint of a write gate");
  if (const std::string& of = file->metadata["method"]; of != method) {
    return bad(fmt::format("it was trained for '{}', not for '{}'", of, method));
  }
  const bool linear = !file->tensors.contains("in_weight");
  const std::string widest = linear ? "out_weight" : "in_weight";
  if (!file->tensors.contains(widest) || file->tensors[widest].dim() != 4) {
    return bad(fmt::format("tensor '{}' is missing or of another shape", widest));
  }
  const auto sizes = file->tensors[widest].sizes();
  if (sizes[0] != geometry.layers || sizes[1] != geometry.kv_heads ||
      sizes[2] != 2 * int64_t{geometry.head_dim} || sizes[3] < 1) {
    return bad(fmt::format(
        "it was trained for {} layers of {} KV heads of {} dimensions; this decoder has {} of {} "
        "of {}",
        sizes[0], sizes[1], sizes[2] / 2, geometry.layers, geometry.kv_heads, geometry.head_dim));
  }
  WriteGate gate(WriteGateShape{geometry.layers, geometry.kv_heads, geometry.head_dim,
                                linear ? 0 : static_cast<int>(sizes[3])});
  if (Status s = FillGate(*file, *gate); !s.ok()) return bad(s.message());
  return gate;
}

}  // namespace kvla
