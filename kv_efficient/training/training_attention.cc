// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/training/training_attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kv_efficient/rotary.h"
#include "kv_efficient/training/training_regions.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr int64_t kSliceRows = 128;

// One more dimension of each head: what its keys have there is added to the logits of a query that
// has 1 / scale.
at::Tensor WithColumn(const at::Tensor& x, const at::Tensor& column) {
  return torch::cat({x, column.expand({x.size(0), x.size(1), x.size(2), 1})}, -1);
}
at::Tensor WithColumn(const at::Tensor& x, double value) {
  return WithColumn(x, torch::full({1}, value, x.options()));
}

// Fused attention over both regions, slice by slice. Each slice and region is one call of
// LibTorch's kernel; the softmax over both is theirs merged by log-sum-exp. The backward kernel,
// given the merged output and log-sum-exp, yields each region's exact share of the gradient.
class TwoRegionAttention : public torch::autograd::Function<TwoRegionAttention> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& near_query,
                            const at::Tensor& far_query, const at::Tensor& near_keys,
                            const at::Tensor& far_keys, const at::Tensor& near_values,
                            const at::Tensor& far_values, const at::Tensor& mask,
                            const std::vector<QuerySlice>& slices, double scale) {
    const at::Tensor out = torch::empty_like(near_query);
    const at::Tensor lse =
        torch::empty({near_query.size(0), near_query.size(1), near_query.size(2)},
                     near_query.options().dtype(torch::kFloat32));
    for (const QuerySlice& s : slices) {
      const auto attend = [&](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              int64_t begin, int64_t count, int64_t column) {
        return AttendPart(q.narrow(2, s.row, s.rows), k.narrow(2, begin, count),
                          v.narrow(2, begin, count),
                          mask.narrow(2, s.row, s.rows).narrow(3, column, count), scale);
      };
      PartialAttention all =
          attend(near_query, near_keys, near_values, s.near, s.near_count, s.near);
      if (s.far_count > 0) {
        Merge(attend(far_query, far_keys, far_values, 0, s.far_count, near_keys.size(2)), &all);
      }
      out.narrow(2, s.row, s.rows).copy_(all.out);
      lse.narrow(2, s.row, s.rows).copy_(all.lse);
    }
    context->save_for_backward(
        {near_query, far_query, near_keys, far_keys, near_values, far_values, mask, out, lse});
    std::vector<int64_t> flat;
    for (const QuerySlice& s : slices) {
      flat.insert(flat.end(), {s.row, s.rows, s.near, s.near_count, s.far_count});
    }
    context->saved_data["slices"] = flat;
    context->saved_data["scale"] = scale;
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &near_keys = saved[2], &mask = saved[6];
    const at::Tensor &out = saved[7], &lse = saved[8];
    const std::vector<int64_t> flat = context->saved_data["slices"].toIntVector();
    std::vector<at::Tensor> result(9);
    for (int i = 0; i < 6; ++i) result[i] = torch::zeros_like(saved[i]);
    const at::Tensor grad = grads[0].to(torch::kFloat32).contiguous();
    const double scale = context->saved_data["scale"].toDouble();
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

// Most of the [N*T, I + N*T + S*T] mask is empty: a row sees its window and few old chunks. So far
// columns are ordered by the first row that sees them, rows are cut into slices, and a slice
// attends over a range of near keys and a prefix of far ones; the mask is exact within them.
Result<TrainingPlan> PlanTraining(std::span<const Visibility> samples, const RotaryTable& rotary,
                                  int age_clamp_blocks, at::Device device) {
  if (samples.empty()) return InternalError("a training plan needs a sample");
  const Visibility& first = samples[0];
  TrainingPlan plan;
  plan.instruction_tokens = first.instruction_tokens;
  plan.tokens_per_block = first.tokens_per_block;
  plan.chunk_blocks = first.chunk_blocks;
  plan.complete_chunks = first.complete_chunks;
  plan.tokens = first.near.size(0);
  const auto batch = static_cast<int64_t>(samples.size());

  std::vector<at::Tensor> near, far;
  at::Tensor positions = torch::empty({batch, 1, plan.tokens}, torch::kInt64);
  int64_t* position = positions.data_ptr<int64_t>();
  for (const Visibility& v : samples) {
    if (v.near.sizes() != first.near.sizes() || v.far.sizes() != first.far.sizes() ||
        v.instruction_tokens != first.instruction_tokens || v.chunk_blocks != first.chunk_blocks ||
        v.chunks.size() != first.chunks.size()) {
      return InternalError("the samples of a batch must have the same shape");
    }
    near.push_back(v.near);
    far.push_back(v.far);
    for (const int p : v.positions) {
      if (p >= rotary.positions()) {
        return BadInput(fmt::format("block {} is beyond the {} positions of the rotary table", p,
                                    rotary.positions()));
      }
      for (int t = 0; t < v.tokens_per_block; ++t) *position++ = p;
    }
  }
  if (age_clamp_blocks >= rotary.positions()) {
    return BadInput(fmt::format("the age clamp {} is beyond the rotary table", age_clamp_blocks));
  }

  // Far columns that are seen, ordered by the first row that sees them, so that rows need a prefix.
  const at::Tensor near_all = torch::stack(near), far_all = torch::stack(far);
  const at::Tensor far_any = far_all.any(0);
  const auto far_seen = far_any.accessor<bool, 2>();
  const at::Tensor near_any = near_all.any(0);
  const auto near_seen = near_any.accessor<bool, 2>();
  const int64_t step = plan.tokens_per_block;      // the rows of a block see the same
  std::vector<std::pair<int64_t, int64_t>> order;  // first row, column
  for (int64_t column = 0; column < far_any.size(1); ++column) {
    int64_t row = 0;
    while (row < plan.tokens && !far_seen[row][column]) row += step;
    if (row < plan.tokens) order.emplace_back(row, column);
  }
  std::stable_sort(order.begin(), order.end());
  std::vector<int64_t> columns;
  for (const auto& [row, column] : order) columns.push_back(column);

  const int64_t slice_rows = std::max(step, kSliceRows / step * step);
  for (int64_t row = 0; row < plan.tokens; row += slice_rows) {
    QuerySlice s;
    s.row = row;
    s.rows = std::min(slice_rows, plan.tokens - row);
    const int64_t last = row + s.rows - 1;
    s.near = last;
    for (int64_t r = row; r <= last; r += step) {
      for (int64_t c = 0; c < s.near; c += step) {
        if (near_seen[r][c]) s.near = c;
      }
    }
    s.near_count = row + s.rows - s.near;
    for (const auto& [first_row, column] : order) s.far_count += first_row <= last;
    plan.slices.push_back(s);
  }

  const at::Tensor index = torch::tensor(columns, torch::kInt64);
  const at::Tensor seen = torch::cat({near_all, far_all.index_select(2, index)}, 2);
  const at::Tensor bias =
      torch::cat({torch::zeros({plan.tokens}), first.far_bias.index_select(0, index)});
  const at::Tensor unseen = torch::full({}, kUnseenLogit);
  plan.mask = torch::where(seen, bias, unseen).unsqueeze(1).to(device);
  plan.far_columns = index.to(device);
  plan.cos = rotary.Cos(positions).to(device);
  plan.sin = rotary.Sin(positions).to(device);
  plan.positions = positions.to(device);
  if (age_clamp_blocks > 0) {
    const at::Tensor age = torch::full({1}, age_clamp_blocks, torch::kInt64);
    plan.far_cos = rotary.Cos(age).squeeze(0).to(device);
    plan.far_sin = rotary.Sin(age).squeeze(0).to(device);
    return plan;
  }
  at::Tensor middles = torch::empty({batch, 1, first.complete_chunks}, torch::kInt64);
  int64_t* middle = middles.data_ptr<int64_t>();
  for (const Visibility& v : samples) {
    for (const int chunk : v.chunks) *middle++ = chunk * v.chunk_blocks + (v.chunk_blocks - 1) / 2;
  }
  middles = middles.repeat_interleave(plan.tokens_per_block, 2);
  plan.summary_cos = rotary.Cos(middles).to(device);
  plan.summary_sin = rotary.Sin(middles).to(device);
  return plan;
}

at::Tensor TrainingAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             const TrainingPlan& plan, const at::Tensor& far_bias) {
  if (!q.is_cpu()) return PlainTrainingAttention(q, k, v, plan, far_bias);
  Regions r = MakeRegions(q, k, v, SummariesOf(k, plan), SummariesOf(v, plan), plan);
  const int64_t group = q.size(1) / k.size(1);
  const double scale = ScaleOf(q);
  if (far_bias.defined()) {
    r.near_query = WithColumn(r.near_query, 0);
    r.near_keys = WithColumn(r.near_keys, 0);
    r.near_values = WithColumn(r.near_values, 0);
    r.far_query = WithColumn(r.far_query, 1 / scale);
    r.far_keys = WithColumn(r.far_keys, far_bias.index_select(2, plan.far_columns).unsqueeze(-1));
    r.far_values = WithColumn(r.far_values, 0);
  }
  // f32 under autocast too: the kernel's backward in bf16 takes two to three times as long.
  const auto ready = [](const at::Tensor& x) { return x.to(torch::kFloat32).contiguous(); };
  const at::Tensor out = TwoRegionAttention::apply(
      ready(r.near_query), ready(r.far_query), ready(Spread(r.near_keys, group)),
      ready(Spread(r.far_keys, group)), ready(Spread(r.near_values, group)),
      ready(Spread(r.far_values, group)), plan.mask, plan.slices, scale);
  return far_bias.defined() ? out.narrow(-1, 0, q.size(-1)) : out;
}

at::Tensor PlainTrainingAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const TrainingPlan& plan, const at::Tensor& far_bias) {
  const Regions r = MakeRegions(q, k, v, SummariesOf(k, plan), SummariesOf(v, plan), plan);
  const int64_t group = q.size(1) / k.size(1);
  const auto logits = [&](const at::Tensor& query, const at::Tensor& keys) {
    return torch::matmul(query.unflatten(1, {k.size(1), group}),
                         keys.unsqueeze(2).transpose(-2, -1)) *
           ScaleOf(q);  // [B, kv_heads, group, rows, columns]
  };
  at::Tensor far = logits(r.far_query, r.far_keys);
  if (far_bias.defined()) {
    far = far + far_bias.index_select(2, plan.far_columns).unsqueeze(2).unsqueeze(2);
  }
  const at::Tensor all =
      torch::cat({logits(r.near_query, r.near_keys), far}, -1) + plan.mask.unsqueeze(1);
  const at::Tensor values = torch::cat({r.near_values, r.far_values}, 2);
  return torch::matmul(all.softmax(-1), values.unsqueeze(2)).flatten(1, 2);
}

}  // namespace kvla
