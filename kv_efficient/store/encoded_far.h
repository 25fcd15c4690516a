// SPDX-License-Identifier: Apache-2.0
// The far region of every lane where it is held in another type than f32 (kv_format.h). No torch.
//
// Tokens that left together, of one chunk, are one page: encoded once, with scales of their own.
// What a later plan keeps of a page is copied code by code, so that nothing is rounded twice.
#ifndef KVLA_KV_EFFICIENT_STORE_ENCODED_FAR_H_
#define KVLA_KV_EFFICIENT_STORE_ENCODED_FAR_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kv_efficient/attention/ragged_attention.h"
#include "kv_efficient/kv_format.h"
#include "kv_efficient/store/page_list.h"

namespace kvla {

// Where a far token of the next state comes from: a row of a page, or f32 rows.
struct FarSource {
  int position = 0;                   // in blocks
  const EncodedPage* page = nullptr;  // of the present state, or of the window
  int row = 0;                        // of it
  const float* key = nullptr;         // [head_dim], un-rotated
  const float* value = nullptr;       // [head_dim]
};

// Not thread-safe.
class EncodedFar {
 public:
  EncodedFar(KvFormat format, int head_dim, int lanes);

  void Reset();
  // The lane's next state. `runs`: how many tokens, one run after the other, belong together. A run
  // has either rows of one page, in its order, or f32 rows.
  void Rebuild(int lane, std::span<const FarSource> sources, std::span<const int> runs);

  int tokens(int lane) const { return lanes_[lane].tokens; }
  std::span<const EncodedPage> pages(int lane) const { return lanes_[lane].list.pages(); }
  // Room for ragged attention to decode into.
  float* scratch() const { return scratch_.data(); }
  // The page that holds a lane's token, and its row there.
  std::pair<const EncodedPage*, int> RowOf(int lane, int token) const;
  int64_t bytes() const;

  // A page with these bytes is put at the lane's end, one token for each of `positions`. False, and
  // nothing changed, where there are not layout bytes for so many, or what they say is not finite.
  bool AddSaved(int lane, std::vector<int32_t> positions, std::span<const uint8_t> bytes);
  KvPageLayout LayoutOf(int tokens) const { return {format_, head_dim_, tokens}; }

 private:
  struct Lane {
    PageList list;
    int tokens = 0;
  };
  std::vector<std::byte> Encoded(std::span<const FarSource> run) const;
  std::vector<std::byte> Copied(std::span<const FarSource> run) const;

  KvFormat format_;
  int head_dim_;
  std::vector<Lane> lanes_;
  mutable std::vector<float> scratch_;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_STORE_ENCODED_FAR_H_
