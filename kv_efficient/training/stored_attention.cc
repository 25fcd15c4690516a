// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/training/stored_attention.h"

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "kv_efficient/store/packed_window.h"
#include "kv_efficient/training/training_regions.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

struct KeysValues {
  at::Tensor keys, values;  // [B, kv_heads, tokens, D]
};

at::Tensor InBf16(const at::Tensor& x) { return x.to(torch::kBFloat16).to(torch::kFloat32); }

// As they are read from pages of `page_tokens` tokens each.
KeysValues FromPages(const KeysValues& x, int page_tokens, KvFormat format) {
  KeysValues out{x.keys.to(torch::kFloat32).contiguous().clone(),
                 x.values.to(torch::kFloat32).contiguous().clone()};
  if (page_tokens == 0) return out;
  const KvPageLayout layout{format, static_cast<int>(x.keys.size(-1)), page_tokens};
  std::vector<std::byte> page(layout.bytes());
  const auto page_floats = static_cast<size_t>(page_tokens * layout.head_dim);
  float* keys = out.keys.data_ptr<float>();
  float* values = out.values.data_ptr<float>();
  const float* const end = keys + out.keys.numel();
  for (; keys < end; keys += page_floats, values += page_floats) {
    const std::span<float> k(keys, page_floats), v(values, page_floats);
    EncodePage(layout, k, v, page_tokens, page);
    DecodePage(layout, page, page_tokens, k, v);
  }
  return out;
}

// The instruction and every complete chunk as they are held once they are old; the chunk that is
// cut short never is.
KeysValues Held(const at::Tensor& k, const at::Tensor& v, const TrainingPlan& plan,
                KvFormat format) {
  const int chunk = plan.chunk_blocks * plan.tokens_per_block;
  const int64_t first = plan.instruction_tokens, complete = int64_t{plan.complete_chunks} * chunk;
  const auto part = [&](int64_t begin, int64_t count) {
    return KeysValues{k.narrow(2, begin, count), v.narrow(2, begin, count)};
  };
  const KeysValues instruction = FromPages(part(0, first), plan.instruction_tokens, format);
  // A window's block is bf16 before its chunk becomes a page.
  const KeysValues recent{InBf16(k.narrow(2, first, complete)),
                          InBf16(v.narrow(2, first, complete))};
  const KeysValues chunks = FromPages(recent, chunk, format);
  const KeysValues rest = part(first + complete, plan.tokens - complete);
  return {torch::cat({instruction.keys, chunks.keys, rest.keys}, 2),
          torch::cat({instruction.values, chunks.values, rest.values}, 2)};
}

}  // namespace

at::Tensor StoredAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const TrainingPlan& plan, KvFormat format) {
  if (format == KvFormat::kF32) return TrainingAttention(q, k, v, plan);
  const torch::NoGradGuard no_grad;
  const KeysValues held = Held(k, v, plan, format);
  const KeysValues summaries =
      FromPages({SummariesOf(held.keys, plan), SummariesOf(held.values, plan)},
                plan.tokens_per_block, format);
  const at::Tensor recent_keys = InBf16(k), recent_values = InBf16(v);
  const Regions old =
      MakeRegions(q, held.keys, held.values, summaries.keys, summaries.values, plan);
  const Regions recent =
      MakeRegions(q, recent_keys, recent_values, summaries.keys, summaries.values, plan);
  const int64_t group = q.size(1) / k.size(1);
  const auto ready = [&](const at::Tensor& x) { return Spread(x, group).contiguous(); };
  const at::Tensor near_query = old.near_query.contiguous();
  const at::Tensor far_query = old.far_query.contiguous();
  const at::Tensor recent_k = ready(recent.near_keys), recent_v = ready(recent.near_values);
  const at::Tensor settled_k = ready(old.near_keys), settled_v = ready(old.near_values);
  const at::Tensor far_k = ready(old.far_keys), far_v = ready(old.far_values);
  // From which block on a token is read from its chunk's page.
  const at::Tensor settled_from =
      (plan.positions.floor_divide(plan.chunk_blocks) + 1) * plan.chunk_blocks + kRecentBlocks;
  const at::Tensor unseen = torch::full({}, kUnseenLogit);
  const at::Tensor out = torch::empty_like(near_query);
  const double scale = ScaleOf(q);
  for (const QuerySlice& s : plan.slices) {
    const auto rows = [&](const at::Tensor& x) { return x.narrow(2, s.row, s.rows); };
    const auto columns = [&](const at::Tensor& x) { return x.narrow(2, s.near, s.near_count); };
    const at::Tensor mask = rows(plan.mask);
    const at::Tensor near = mask.narrow(3, s.near, s.near_count);
    const at::Tensor settled = columns(settled_from).unsqueeze(2) <=
                               rows(plan.positions).unsqueeze(3);  // [B or 1, 1, rows, columns]
    PartialAttention all = AttendPart(rows(near_query), columns(recent_k), columns(recent_v),
                                      torch::where(settled, unseen, near), scale);
    Merge(AttendPart(rows(near_query), columns(settled_k), columns(settled_v),
                     torch::where(settled, near, unseen), scale),
          &all);
    if (s.far_count > 0) {
      Merge(AttendPart(rows(far_query), far_k.narrow(2, 0, s.far_count),
                       far_v.narrow(2, 0, s.far_count), mask.narrow(3, plan.tokens, s.far_count),
                       scale),
            &all);
    }
    rows(out).copy_(all.out);
  }
  return out;
}

}  // namespace kvla
