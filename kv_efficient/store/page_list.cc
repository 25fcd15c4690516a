// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/store/page_list.h"

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

std::vector<std::byte> EncodeRows(const KvPageLayout& layout, std::span<const float> keys,
                                  std::span<const float> values) {
  std::vector<std::byte> page(layout.bytes());
  EncodePage(layout, keys, values, layout.page_tokens, page);
  return page;
}

void PageList::Insert(size_t at, const KvPageLayout& layout, std::vector<int32_t> positions,
                      std::vector<std::byte> data) {
  const auto place = static_cast<ptrdiff_t>(at);
  bytes_ += static_cast<int64_t>(data.size());
  data_.insert(data_.begin() + place, std::move(data));
  positions_.insert(positions_.begin() + place, std::move(positions));
  pages_.insert(pages_.begin() + place, {reinterpret_cast<const uint8_t*>(data_[at].data()), layout,
                                         layout.page_tokens, positions_[at].data()});
}

bool PageList::AppendSaved(const KvPageLayout& layout, std::vector<int32_t> positions,
                           std::span<const uint8_t> bytes) {
  if (layout.page_tokens < 1 || std::ssize(bytes) != layout.bytes()) return false;
  const std::span<const std::byte> data = std::as_bytes(bytes);
  Append(layout, std::move(positions), {data.begin(), data.end()});
  std::vector<float> keys, values;
  DecodeRows(pages_.back(), &keys, &values);
  const auto finite = [](float x) { return std::isfinite(x); };
  if (std::ranges::all_of(keys, finite) && std::ranges::all_of(values, finite)) return true;
  Erase(pages_.size() - 1, 1);
  return false;
}

void PageList::Erase(size_t first, size_t count) {
  const auto erase = [&](auto* list) {
    const auto begin = list->begin() + static_cast<ptrdiff_t>(first);
    list->erase(begin, begin + static_cast<ptrdiff_t>(count));
  };
  for (size_t i = first; i < first + count; ++i) bytes_ -= static_cast<int64_t>(data_[i].size());
  erase(&data_);
  erase(&positions_);
  erase(&pages_);
}

}  // namespace kvla
