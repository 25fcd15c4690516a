// Attention of a whole history at once, as the cache would have computed it block by block.

#include <cmath>

#include "kv_efficient/chunk_store.h"
#include "kv_efficient/rotary.h"
#include "kv_efficient/torch.h"
#include "kv_efficient/visibility.h"

namespace kvla {
namespace {

// The two regions of keys and the query as each meets it; [B, heads or kv_heads, rows, D].
struct Regions {
  at::Tensor near_query, near_keys, near_values;
  at::Tensor far_query, far_keys, far_values;
};

Regions MakeRegions(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                    const TrainingPlan& plan) {
  Regions r;
  r.near_query = Rotate(q, plan.cos, plan.sin);
  r.far_query = Rotate(q, plan.far_cos, plan.far_sin);
  const at::Tensor keys = k.narrow(2, plan.instruction_tokens, plan.tokens);
  r.near_keys = Rotate(keys, plan.cos, plan.sin);
  r.near_values = v.narrow(2, plan.instruction_tokens, plan.tokens);
  const int64_t pooled = int64_t{plan.complete_chunks} * plan.chunk_blocks * plan.tokens_per_block;
  const auto columns = [&](const at::Tensor& x) {
    const at::Tensor tokens = x.narrow(2, plan.instruction_tokens, pooled);
    return torch::cat({x, SummarizeChunk(tokens, plan.chunk_blocks, plan.tokens_per_block)}, 2)
        .index_select(2, plan.far_columns);
  };
  r.far_keys = columns(k);
  r.far_values = columns(v);
  return r;
}

// Keys of the query heads: each KV head serves a group.
at::Tensor Spread(const at::Tensor& x, int64_t group) {
  if (group == 1) return x;
  return x.unsqueeze(2).expand({-1, -1, group, -1, -1}).flatten(1, 2);
}

double ScaleOf(const at::Tensor& q) { return 1 / std::sqrt(static_cast<double>(q.size(-1))); }

// Fused attention over both regions, slice by slice. Each slice and region is one call of
// LibTorch's kernel; the softmax over both is theirs merged by log-sum-exp. The backward kernel,
// given the merged output and log-sum-exp, yields each region's exact share of the gradient.
class TwoRegionAttention : public torch::autograd::Function<TwoRegionAttention> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& near_query,
                            const at::Tensor& far_query, const at::Tensor& near_keys,
                            const at::Tensor& far_keys, const at::Tensor& near_values,
                            const at::Tensor& far_values, const at::Tensor& mask,
                            const std::vector<QuerySlice>& slices) {
    const at::Tensor out = torch::empty_like(near_query);
    const at::Tensor lse =
        torch::empty({near_query.size(0), near_query.size(1), near_query.size(2)},
                     near_query.options().dtype(torch::kFloat32));
    const double scale = ScaleOf(near_query);
    for (const QuerySlice& s : slices) {
      const auto attend = [&](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              int64_t begin, int64_t count, int64_t column) {
        return at::_scaled_dot_product_flash_attention_for_cpu(
            q.narrow(2, s.row, s.rows), k.narrow(2, begin, count), v.narrow(2, begin, count), 0.0,
            false, mask.narrow(2, s.row, s.rows).narrow(3, column, count), scale);
      };
      auto [o, l] = attend(near_query, near_keys, near_values, s.near, s.near_count, s.near);
      if (s.far_count > 0) {
        auto [far_o, far_l] =
            attend(far_query, far_keys, far_values, 0, s.far_count, near_keys.size(2));
        const at::Tensor share = torch::sigmoid(far_l - l).unsqueeze(-1);
        o = o + (far_o - o) * share;
        l = torch::logaddexp(l, far_l);
      }
      out.narrow(2, s.row, s.rows).copy_(o);
      lse.narrow(2, s.row, s.rows).copy_(l);
    }
    context->save_for_backward(
        {near_query, far_query, near_keys, far_keys, near_values, far_values, mask, out, lse});
    std::vector<int64_t> flat;
    for (const QuerySlice& s : slices) {
      flat.insert(flat.end(), {s.row, s.rows, s.near, s.near_count, s.far_count});
    }
    context->saved_data["slices"] = flat;
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &near_query = saved[0], &near_keys = saved[2], &mask = saved[6];
    const at::Tensor &out = saved[7], &lse = saved[8];
    const std::vector<int64_t> flat = context->saved_data["slices"].toIntVector();
    std::vector<at::Tensor> result(8);
    for (int i = 0; i < 6; ++i) result[i] = torch::zeros_like(saved[i]);
    const at::Tensor grad = grads[0].to(torch::kFloat32).contiguous();
    const double scale = ScaleOf(near_query);
    for (size_t i = 0; i < flat.size(); i += 5) {
      const int64_t row = flat[i], rows = flat[i + 1];
      // region 0 near, 1 far
      const auto add = [&](int region, int64_t begin, int64_t count, int64_t column) {
        if (count == 0) return;
        auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
            grad.narrow(2, row, rows), saved[region].narrow(2, row, rows),
            saved[2 + region].narrow(2, begin, count), saved[4 + region].narrow(2, begin, count),
            out.narrow(2, row, rows), lse.narrow(2, row, rows), 0.0, false,
            mask.narrow(2, row, rows).narrow(3, column, count), scale);
        result[region].narrow(2, row, rows).copy_(dq);
        result[2 + region].narrow(2, begin, count).add_(dk);
        result[4 + region].narrow(2, begin, count).add_(dv);
      };
      add(0, flat[i + 2], flat[i + 3], flat[i + 2]);
      add(1, 0, flat[i + 4], near_keys.size(2));
    }
    return result;
  }
};

}  // namespace

at::Tensor TrainingAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             const TrainingPlan& plan) {
  if (!q.is_cpu()) return PlainTrainingAttention(q, k, v, plan);
  Regions r = MakeRegions(q, k, v, plan);
  const int64_t group = q.size(1) / k.size(1);
  // f32 under autocast too: the kernel's backward in bf16 takes two to three times as long.
  const auto ready = [](const at::Tensor& x) { return x.to(torch::kFloat32).contiguous(); };
  return TwoRegionAttention::apply(
      ready(r.near_query), ready(r.far_query), ready(Spread(r.near_keys, group)),
      ready(Spread(r.far_keys, group)), ready(Spread(r.near_values, group)),
      ready(Spread(r.far_values, group)), plan.mask, plan.slices);
}

at::Tensor PlainTrainingAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const TrainingPlan& plan, const at::Tensor& far_bias) {
  const Regions r = MakeRegions(q, k, v, plan);
  const int64_t group = q.size(1) / k.size(1);
  const auto logits = [&](const at::Tensor& query, const at::Tensor& keys) {
    return torch::matmul(query.unflatten(1, {k.size(1), group}),
                         keys.unsqueeze(2).transpose(-2, -1)) *
           ScaleOf(q);  // [B, kv_heads, group, rows, columns]
  };
  at::Tensor far = logits(r.far_query, r.far_keys);
  if (far_bias.defined()) {
    far = far + far_bias.index_select(1, plan.far_columns).unsqueeze(1).unsqueeze(1).unsqueeze(1);
  }
  const at::Tensor all =
      torch::cat({logits(r.near_query, r.near_keys), far}, -1) + plan.mask.unsqueeze(1);
  const at::Tensor values = torch::cat({r.near_values, r.far_values}, 2);
  return torch::matmul(all.softmax(-1), values.unsqueeze(2)).flatten(1, 2);
}

}  // namespace kvla
