// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/store/encoded_far.h"

#include <algorithm>
#include <utility>

namespace kvla {

EncodedFar::EncodedFar(KvFormat format, int head_dim, int lanes)
    : format_(format),
      head_dim_(head_dim),
      lanes_(lanes),
      scratch_(size_t{2} * kTileKeys * head_dim) {}

void EncodedFar::Reset() { lanes_ = std::vector<Lane>(lanes_.size()); }

int64_t EncodedFar::bytes() const {
  int64_t bytes = 0;
  for (const Lane& lane : lanes_) bytes += lane.list.bytes();
  return bytes;
}

std::vector<std::byte> EncodedFar::Encoded(std::span<const FarSource> run) const {
  std::vector<float> keys, values;
  for (const FarSource& source : run) {
    keys.insert(keys.end(), source.key, source.key + head_dim_);
    values.insert(values.end(), source.value, source.value + head_dim_);
  }
  return EncodeRows(LayoutOf(static_cast<int>(run.size())), keys, values);
}

std::vector<std::byte> EncodedFar::Copied(std::span<const FarSource> run) const {
  const KvPageLayout& from = run.front().page->layout;
  const KvPageLayout to = LayoutOf(static_cast<int>(run.size()));
  const auto* old = reinterpret_cast<const std::byte*>(run.front().page->data);
  std::vector<std::byte> page(to.bytes());
  const auto copy = [&](int64_t at, int64_t of, int64_t bytes) {
    std::copy_n(old + of, bytes, page.data() + at);
  };
  for (int t = 0; t < to.page_tokens; ++t) {
    const int row = run[t].row;
    copy(to.keys() + t * to.row_bytes(), from.keys() + row * from.row_bytes(), to.row_bytes());
    copy(to.values() + t * to.row_bytes(), from.values() + row * from.row_bytes(), to.row_bytes());
    if (!HasScales(format_)) continue;
    constexpr int64_t kFloat = sizeof(float);
    copy(to.value_scales() + t * kFloat, from.value_scales() + row * kFloat, kFloat);
    copy(to.value_zeros() + t * kFloat, from.value_zeros() + row * kFloat, kFloat);
  }
  if (HasScales(format_)) {
    const int64_t channels = head_dim_ * static_cast<int64_t>(sizeof(float));
    copy(to.key_scales(), from.key_scales(), channels);
    copy(to.key_zeros(), from.key_zeros(), channels);
  }
  return page;
}

void EncodedFar::Rebuild(int lane, std::span<const FarSource> sources, std::span<const int> runs) {
  Lane next;
  size_t begin = 0;
  for (const int size : runs) {
    const std::span<const FarSource> run = sources.subspan(begin, size);
    begin += size;
    std::vector<int32_t> positions;
    for (const FarSource& source : run) positions.push_back(source.position);
    next.list.Append(LayoutOf(size), std::move(positions),
                     run.front().page != nullptr ? Copied(run) : Encoded(run));
    next.tokens += size;
  }
  lanes_[lane] = std::move(next);
}

std::pair<const EncodedPage*, int> EncodedFar::RowOf(int lane, int token) const {
  const EncodedPage* page = pages(lane).data();
  for (; token >= page->tokens; ++page) token -= page->tokens;
  return {page, token};
}

bool EncodedFar::AddSaved(int lane, std::vector<int32_t> positions,
                          std::span<const uint8_t> bytes) {
  const int tokens = static_cast<int>(positions.size());
  if (!lanes_[lane].list.AppendSaved(LayoutOf(tokens), std::move(positions), bytes)) return false;
  lanes_[lane].tokens += tokens;
  return true;
}

}  // namespace kvla
