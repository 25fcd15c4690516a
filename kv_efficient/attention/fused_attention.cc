// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/attention/fused_attention.h"

#include <cmath>

#include "tensors/torch.h"

namespace kvla {
namespace {

double Scale(const at::Tensor& query) { return 1 / std::sqrt(static_cast<double>(query.size(-1))); }

}  // namespace

Attended FusedAttention(const at::Tensor& query, const LaneView& view) {
  c10::optional<at::Tensor> bias;
  if (view.bias.defined()) bias = view.bias;
  if (bias) {
    // The kernel wants rows aligned to 16 bytes.
    const int64_t padded = (view.tokens + 7) / 8 * 8;
    bias = torch::constant_pad_nd(view.bias, {0, padded - view.tokens})
               .expand({1, query.size(1), query.size(2), padded})
               .narrow(-1, 0, view.tokens);
  }
  auto [out, lse, seed, offset] = at::_scaled_dot_product_efficient_attention(
      query, view.keys, view.values, bias, /*compute_log_sumexp=*/true, 0.0, false, Scale(query));
  return {out, lse.narrow(-1, 0, query.size(2))};  // the kernel pads its rows
}

void MergeAttended(const Attended& a, const Attended& b, int kv_head, int group, at::Tensor* out) {
  const int64_t kv_heads = a.out.size(1), rows = a.out.size(2), width = a.out.size(3);
  const int64_t tokens = rows / group;
  at::Tensor merged = a.out;
  if (b.out.defined()) {
    const at::Tensor share = torch::sigmoid(b.lse - a.lse).unsqueeze(-1);
    merged = torch::lerp(a.out, b.out, share.expand_as(a.out));
  }
  out->narrow(1, kv_head * group, kv_heads * group)
      .copy_(merged.reshape({kv_heads * group, tokens, width}).transpose(0, 1));
}

at::Tensor KeyMass(const at::Tensor& query, const LaneView& view, const at::Tensor& lse) {
  at::Tensor logits = torch::matmul(query, view.keys.transpose(-2, -1)) * Scale(query);
  if (view.bias.defined()) logits = logits + view.bias;
  return torch::exp(logits - lse.unsqueeze(-1)).sum(-2).squeeze(0);
}

at::Tensor InstructionAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const int64_t group = q.size(-3) / k.size(-3);
  const at::Tensor scores =
      torch::matmul(q.unflatten(-3, {k.size(-3), group}), k.unsqueeze(-3).transpose(-2, -1)) *
      Scale(q);
  return torch::matmul(scores.softmax(-1), v.unsqueeze(-3)).flatten(-4, -3);
}

}  // namespace kvla
