// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/training/training_regions.h"

#include <cmath>
#include <vector>

#include "kv_efficient/chunk_summary.h"
#include "kv_efficient/rotary.h"
#include "tensors/torch.h"

namespace kvla {

at::Tensor SummariesOf(const at::Tensor& x, const TrainingPlan& plan) {
  const int64_t pooled = int64_t{plan.complete_chunks} * plan.chunk_blocks * plan.tokens_per_block;
  return SummarizeChunk(x.narrow(2, plan.instruction_tokens, pooled), plan.chunk_blocks,
                        plan.tokens_per_block);
}

Regions MakeRegions(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                    const at::Tensor& key_summaries, const at::Tensor& value_summaries,
                    const TrainingPlan& plan) {
  Regions r;
  r.near_query = Rotate(q, plan.cos, plan.sin);
  r.far_query = plan.far_cos.defined() ? Rotate(q, plan.far_cos, plan.far_sin) : r.near_query;
  const at::Tensor keys = k.narrow(2, plan.instruction_tokens, plan.tokens);
  r.near_keys = Rotate(keys, plan.cos, plan.sin);
  r.near_values = v.narrow(2, plan.instruction_tokens, plan.tokens);
  const auto columns = [&](const std::vector<at::Tensor>& parts) {
    return torch::cat(parts, 2).index_select(2, plan.far_columns);
  };
  r.far_values = columns({v, value_summaries});
  if (plan.far_cos.defined()) {
    r.far_keys = columns({k, key_summaries});
  } else {
    r.far_keys = columns({k.narrow(2, 0, plan.instruction_tokens), r.near_keys,
                          Rotate(key_summaries, plan.summary_cos, plan.summary_sin)});
  }
  return r;
}

at::Tensor Spread(const at::Tensor& x, int64_t group) {
  if (group == 1) return x;
  return x.unsqueeze(2).expand({-1, -1, group, -1, -1}).flatten(1, 2);
}

double ScaleOf(const at::Tensor& q) { return 1 / std::sqrt(static_cast<double>(q.size(-1))); }

PartialAttention AttendPart(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const at::Tensor& mask, double scale) {
  auto [out, lse] =
      at::_scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, false, mask, scale);
  return {out, lse};
}

void Merge(const PartialAttention& more, PartialAttention* into) {
  const at::Tensor share = torch::sigmoid(more.lse - into->lse).unsqueeze(-1);
  into->out = into->out + (more.out - into->out) * share;
  into->lse = torch::logaddexp(into->lse, more.lse);
}

}  // namespace kvla
