// SPDX-License-Identifier: Apache-2.0
// Encoded pages of one lane, and the memory that they stand in. No torch.
#ifndef KVLA_KV_EFFICIENT_STORE_PAGE_LIST_H_
#define KVLA_KV_EFFICIENT_STORE_PAGE_LIST_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kv_efficient/attention/ragged_attention.h"
#include "kv_efficient/kv_format.h"

namespace kvla {

// A page's tokens as they are read, [tokens, head_dim] each.
void DecodeRows(const EncodedPage& page, std::vector<float>* keys, std::vector<float>* values);
// Rows [page_tokens, head_dim] each, as a page.
std::vector<std::byte> EncodeRows(const KvPageLayout& layout, std::span<const float> keys,
                                  std::span<const float> values);

// Not thread-safe. A page keeps its place in memory while others come and go.
class PageList {
 public:
  PageList() = default;
  PageList(PageList&&) = default;  // pages point into it
  PageList& operator=(PageList&&) = default;

  std::span<const EncodedPage> pages() const { return pages_; }
  int64_t bytes() const { return bytes_; }

  // In front of page `at`, one token for each of `positions` (in blocks). REQUIRES: layout bytes.
  void Insert(size_t at, const KvPageLayout& layout, std::vector<int32_t> positions,
              std::vector<std::byte> data);
  void Append(const KvPageLayout& layout, std::vector<int32_t> positions,
              std::vector<std::byte> data) {
    Insert(pages_.size(), layout, std::move(positions), std::move(data));
  }
  // The same of bytes from anywhere. False, and nothing changed, where there are not layout bytes,
  // or what they say is not finite.
  bool AppendSaved(const KvPageLayout& layout, std::vector<int32_t> positions,
                   std::span<const uint8_t> bytes);
  void Erase(size_t first, size_t count);

 private:
  std::vector<std::vector<std::byte>> data_;
  std::vector<std::vector<int32_t>> positions_;
  std::vector<EncodedPage> pages_;
  int64_t bytes_ = 0;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_STORE_PAGE_LIST_H_
