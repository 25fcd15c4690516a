// SPDX-License-Identifier: Apache-2.0
// The window of every lane where it is held in another type than f32 (kv_format.h): the newest
// blocks in bf16, a page each; what is older, chunk by chunk, in the store's own format, from which
// a chunk leaves without being rounded again. Keys are un-rotated. No torch.
#ifndef KVLA_KV_EFFICIENT_STORE_PACKED_WINDOW_H_
#define KVLA_KV_EFFICIENT_STORE_PACKED_WINDOW_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kv_efficient/attention/ragged_attention.h"
#include "kv_efficient/head_rows.h"
#include "kv_efficient/kv_format.h"
#include "kv_efficient/store/page_list.h"

namespace kvla {

// Newest blocks that stay in bf16 (the residual of KIVI, arXiv 2402.02750).
inline constexpr int kRecentBlocks = 4;

// Not thread-safe.
class PackedWindow {
 public:
  PackedWindow(KvFormat format, int head_dim, int lanes, int chunk_blocks, int tokens_per_block);

  // Empty; the block that comes next is `block`, a chunk's first.
  void Reset(int block);
  // One block into a lane, from head `head` of the rows. A lane's blocks come in order.
  void Append(int lane, int head, const HeadRows& k, const HeadRows& v);
  // Chunks older than the newest kRecentBlocks become a page each. All lanes hold the same blocks.
  void Settle();
  // The oldest chunk as a page, whatever its age. REQUIRES: it is complete.
  void SettleOldest();
  void DropOldest();  // REQUIRES: SettleOldest()

  std::span<const EncodedPage> pages(int lane) const { return lanes_[lane].list.pages(); }
  int tokens(int lane) const { return lanes_[lane].blocks * slots_; }
  int64_t bytes() const;

  // A saved state: how many chunks are a page, then the pages' bytes in order. Of `blocks` blocks
  // from `first` on; false, and the window is empty, for anything that Settle() cannot have left.
  int settled() const { return settled_; }
  bool Restore(int first, int blocks, int settled,
               const std::vector<std::vector<std::vector<uint8_t>>>& pages);
  // What page `page` of a window with so many settled chunks is.
  KvPageLayout LayoutOf(int page, int settled) const {
    const bool chunk = page < settled;
    return {chunk ? format_ : KvFormat::kBf16, head_dim_, slots_ * (chunk ? chunk_blocks_ : 1)};
  }

 private:
  struct Lane {
    PageList list;
    int blocks = 0;
  };
  // Of the tokens of a page that begins with that block.
  std::vector<int32_t> PositionsOf(const KvPageLayout& layout, int block) const;
  void SettleChunk(Lane* lane) const;

  KvFormat format_;
  int head_dim_, chunk_blocks_, slots_;
  int first_ = 0;    // block
  int settled_ = 0;  // chunks that are a page
  std::vector<Lane> lanes_;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_STORE_PACKED_WINDOW_H_
