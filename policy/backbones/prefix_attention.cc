// SPDX-License-Identifier: Apache-2.0
#include "policy/backbones/prefix_attention.h"

#include <utility>

#include "policy/backbones/attention.h"
#include "tensors/torch.h"

namespace kvla {

at::Tensor PrefixAttention::Over(const at::Tensor& q, const KvRows& rows) {
  return AttendAll(q, rows.keys, rows.values).out;
}

at::Tensor PlainPrefix::Append(int layer, const Qkv& rows, std::span<const int> segments) {
  layers_.at(layer) = {rows.k, rows.v};
  std::vector<at::Tensor> out;
  int64_t begin = 0;
  for (const int tokens : segments) {
    const int64_t end = begin + tokens;
    out.push_back(AttendAll(rows.q.narrow(1, begin, tokens), rows.k.narrow(1, 0, end),
                            rows.v.narrow(1, 0, end))
                      .out);
    begin = end;
  }
  TORCH_CHECK(begin == rows.q.size(1), "segments of ", begin, " tokens for ", rows.q.size(1));
  return torch::cat(out, 1);
}

AttendedRows PlainPrefix::Query(int layer, const at::Tensor& q) {
  const KvRows& rows = layers_.at(layer);
  return AttendAll(q, rows.keys, rows.values);
}

KvRows HistoryPrefix::Rows(int layer) {
  auto [keys, values] = cache_->SeenRows(layer);
  return {std::move(keys), std::move(values)};
}

at::Tensor CachedPrefix::Append(int layer, const Qkv& rows, std::span<const int> segments) {
  layers_.at(layer) = {rows.k, rows.v};
  return cache_->Attend(layer, rows.q, rows.k, rows.v, segments);
}

}  // namespace kvla
