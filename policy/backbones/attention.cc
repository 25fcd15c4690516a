// SPDX-License-Identifier: Apache-2.0
#include "policy/backbones/attention.h"

#include <cmath>
#include <optional>
#include <tuple>

#include "tensors/torch.h"

namespace kvla {
namespace {

// Rows [kv_heads, group * n, head_dim].
AttendedRows Attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                    const std::optional<at::Tensor>& bias) {
  const int64_t heads = q.size(0), kv_heads = k.size(0), n = q.size(1), width = q.size(2);
  const at::Tensor rows = q.reshape({1, kv_heads, heads / kv_heads * n, width});
  const auto [out, log_sum_exp] = at::_scaled_dot_product_flash_attention_for_cpu(
      rows, k.unsqueeze(0), v.unsqueeze(0), /*dropout_p=*/0.0, /*is_causal=*/false, bias,
      1 / std::sqrt(static_cast<double>(width)));
  return {out.reshape({heads, n, width}), log_sum_exp.reshape({heads, n})};
}

}  // namespace

AttendedRows AttendAll(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  return Attend(q, k, v, std::nullopt);
}

AttendedRows AttendCausal(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const int64_t n = q.size(1), group = q.size(0) / k.size(0);
  const at::Tensor hidden = torch::ones({n, n}, torch::kBool).triu(1);
  const at::Tensor bias = torch::zeros({n, n}).masked_fill(hidden, -INFINITY);
  return Attend(q, k, v, bias.repeat({group, 1}).view({1, 1, group * n, n}));
}

AttendedRows Merged(const AttendedRows& a, const AttendedRows& b) {
  const at::Tensor share = torch::sigmoid(b.log_sum_exp - a.log_sum_exp).unsqueeze(-1);
  return {torch::lerp(a.out, b.out, share.expand_as(a.out)),
          torch::logaddexp(a.log_sum_exp, b.log_sum_exp)};
}

}  // namespace kvla
