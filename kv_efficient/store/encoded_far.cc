// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/store/encoded_far.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace kvla {

void DecodeRows(const EncodedPage& page, std::vector<float>* keys, std::vector<float>* values) {
  keys->resize(static_cast<size_t>(page.tokens) * page.layout.head_dim);
  values->resize(keys->size());
  const auto* data = reinterpret_cast<const std::byte*>(page.data);
  DecodePage(page.layout, {data, static_cast<size_t>(page.layout.bytes())}, page.tokens, *keys,
             *values);
}

EncodedFar::EncodedFar(KvFormat format, int head_dim, int lanes)
    : format_(format),
      head_dim_(head_dim),
      lanes_(lanes),
      scratch_(size_t{2} * kTileKeys * head_dim) {}

void EncodedFar::Reset() {
  lanes_.assign(lanes_.size(), {});
  bytes_ = 0;
}

void EncodedFar::Add(Lane* lane, std::vector<int32_t> positions,
                     std::vector<std::byte> data) const {
  const int tokens = static_cast<int>(positions.size());
  lane->data.push_back(std::move(data));
  lane->positions.push_back(std::move(positions));
  lane->pages.push_back({reinterpret_cast<const uint8_t*>(lane->data.back().data()),
                         LayoutOf(tokens), tokens, lane->positions.back().data()});
  lane->tokens += tokens;
}

std::vector<std::byte> EncodedFar::Encoded(std::span<const FarSource> run) const {
  std::vector<float> keys, values;
  for (const FarSource& source : run) {
    keys.insert(keys.end(), source.key, source.key + head_dim_);
    values.insert(values.end(), source.value, source.value + head_dim_);
  }
  const KvPageLayout layout = LayoutOf(static_cast<int>(run.size()));
  std::vector<std::byte> page(layout.bytes());
  EncodePage(layout, keys, values, layout.page_tokens, page);
  return page;
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
  const Lane& old = lanes_[lane];
  Lane next;
  size_t begin = 0;
  for (const int size : runs) {
    const std::span<const FarSource> run = sources.subspan(begin, size);
    begin += size;
    std::vector<int32_t> positions;
    for (const FarSource& source : run) positions.push_back(source.position);
    Add(&next, std::move(positions), run.front().page != nullptr ? Copied(run) : Encoded(run));
  }
  for (const auto& data : old.data) bytes_ -= static_cast<int64_t>(data.size());
  for (const auto& data : next.data) bytes_ += static_cast<int64_t>(data.size());
  lanes_[lane] = std::move(next);
}

std::pair<const EncodedPage*, int> EncodedFar::RowOf(int lane, int token) const {
  size_t page = 0;
  while (token >= lanes_[lane].pages[page].tokens) token -= lanes_[lane].pages[page++].tokens;
  return {&lanes_[lane].pages[page], token};
}

bool EncodedFar::AddSaved(int lane, std::vector<int32_t> positions,
                          std::span<const uint8_t> bytes) {
  const int tokens = static_cast<int>(positions.size());
  const KvPageLayout layout = LayoutOf(tokens);
  if (tokens < 1 || static_cast<int64_t>(bytes.size()) != layout.bytes()) return false;
  std::vector<std::byte> data(bytes.size());
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<uint8_t*>(data.data()));
  std::vector<float> keys(static_cast<size_t>(tokens) * head_dim_), values(keys.size());
  DecodePage(layout, data, tokens, keys, values);
  const auto finite = [](float x) { return std::isfinite(x); };
  if (!std::ranges::all_of(keys, finite) || !std::ranges::all_of(values, finite)) return false;
  bytes_ += layout.bytes();
  Add(&lanes_[lane], std::move(positions), std::move(data));
  return true;
}

}  // namespace kvla
