// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/store/packed_window.h"

#include <utility>

namespace kvla {

PackedWindow::PackedWindow(KvFormat format, int head_dim, int lanes, int chunk_blocks,
                           int tokens_per_block)
    : format_(format),
      head_dim_(head_dim),
      chunk_blocks_(chunk_blocks),
      slots_(tokens_per_block),
      lanes_(lanes) {}

void PackedWindow::Reset(int block) {
  lanes_ = std::vector<Lane>(lanes_.size());
  first_ = block;
  settled_ = 0;
}

std::vector<int32_t> PackedWindow::PositionsOf(const KvPageLayout& layout, int block) const {
  std::vector<int32_t> positions(layout.page_tokens);
  for (int t = 0; t < layout.page_tokens; ++t) positions[t] = block + t / slots_;
  return positions;
}

void PackedWindow::Append(int lane, int head, const HeadRows& k, const HeadRows& v) {
  const KvPageLayout layout{KvFormat::kBf16, head_dim_, slots_};
  std::vector<float> keys, values;
  for (int t = 0; t < slots_; ++t) {
    keys.insert(keys.end(), k.row(head, t), k.row(head, t) + head_dim_);
    values.insert(values.end(), v.row(head, t), v.row(head, t) + head_dim_);
  }
  Lane& of = lanes_[lane];
  of.list.Append(layout, PositionsOf(layout, first_ + of.blocks), EncodeRows(layout, keys, values));
  ++of.blocks;
}

// The first blocks that are still pages of their own become one.
void PackedWindow::SettleChunk(Lane* lane) const {
  std::vector<float> keys, values, block_keys, block_values;
  for (int b = 0; b < chunk_blocks_; ++b) {
    DecodeRows(lane->list.pages()[settled_ + b], &block_keys, &block_values);
    keys.insert(keys.end(), block_keys.begin(), block_keys.end());
    values.insert(values.end(), block_values.begin(), block_values.end());
  }
  const KvPageLayout layout{format_, head_dim_, chunk_blocks_ * slots_};
  lane->list.Erase(settled_, chunk_blocks_);
  lane->list.Insert(settled_, layout, PositionsOf(layout, first_ + settled_ * chunk_blocks_),
                    EncodeRows(layout, keys, values));
}

void PackedWindow::Settle() {
  while ((settled_ + 1) * chunk_blocks_ + kRecentBlocks <= lanes_.front().blocks) {
    for (Lane& lane : lanes_) SettleChunk(&lane);
    ++settled_;
  }
}

void PackedWindow::SettleOldest() {
  if (settled_ > 0) return;
  for (Lane& lane : lanes_) SettleChunk(&lane);
  settled_ = 1;
}

void PackedWindow::DropOldest() {
  for (Lane& lane : lanes_) {
    lane.list.Erase(0, 1);
    lane.blocks -= chunk_blocks_;
  }
  first_ += chunk_blocks_;
  --settled_;
}

int64_t PackedWindow::bytes() const {
  int64_t bytes = 0;
  for (const Lane& lane : lanes_) bytes += lane.list.bytes();
  return bytes;
}

bool PackedWindow::Restore(int first, int blocks, int settled,
                           const std::vector<std::vector<std::vector<uint8_t>>>& pages) {
  Reset(first);
  if (settled < 0 || int64_t{settled} * chunk_blocks_ > blocks) return false;
  const int count = settled + blocks - settled * chunk_blocks_;
  for (size_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = lanes_[i];
    for (int page = 0; page < count; ++page) {
      const KvPageLayout layout = LayoutOf(page, settled);
      if (!lane.list.AppendSaved(layout, PositionsOf(layout, first + lane.blocks),
                                 pages[i][page])) {
        Reset(first);
        return false;
      }
      lane.blocks += page < settled ? chunk_blocks_ : 1;
    }
  }
  settled_ = settled;
  return true;
}

}  // namespace kvla
