// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/store/packed_window.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kv_efficient/store/encoded_far.h"

namespace kvla {

PackedWindow::PackedWindow(KvFormat format, int head_dim, int lanes, int chunk_blocks,
                           int tokens_per_block)
    : format_(format),
      head_dim_(head_dim),
      chunk_blocks_(chunk_blocks),
      slots_(tokens_per_block),
      lanes_(lanes) {}

void PackedWindow::Reset(int block) {
  lanes_.assign(lanes_.size(), {});
  first_ = block;
  settled_ = 0;
}

void PackedWindow::Put(Lane* lane, size_t at, const KvPageLayout& layout,
                       std::vector<std::byte> data, int block) const {
  std::vector<int32_t> positions(layout.page_tokens);
  for (int t = 0; t < layout.page_tokens; ++t) positions[t] = block + t / slots_;
  const auto place = static_cast<ptrdiff_t>(at);
  lane->data.insert(lane->data.begin() + place, std::move(data));
  lane->positions.insert(lane->positions.begin() + place, std::move(positions));
  lane->pages.insert(lane->pages.begin() + place,
                     {reinterpret_cast<const uint8_t*>(lane->data[at].data()), layout,
                      layout.page_tokens, lane->positions[at].data()});
}

void PackedWindow::Append(int lane, int head, const HeadRows& k, const HeadRows& v) {
  const KvPageLayout layout{KvFormat::kBf16, head_dim_, slots_};
  std::vector<float> keys, values;
  for (int t = 0; t < slots_; ++t) {
    keys.insert(keys.end(), k.row(head, t), k.row(head, t) + head_dim_);
    values.insert(values.end(), v.row(head, t), v.row(head, t) + head_dim_);
  }
  std::vector<std::byte> page(layout.bytes());
  EncodePage(layout, keys, values, slots_, page);
  Lane& of = lanes_[lane];
  Put(&of, of.pages.size(), layout, std::move(page), first_ + of.blocks);
  ++of.blocks;
}

// The first blocks that are still pages of their own become one.
void PackedWindow::SettleChunk(Lane* lane) const {
  std::vector<float> keys, values, block_keys, block_values;
  for (int b = 0; b < chunk_blocks_; ++b) {
    DecodeRows(lane->pages[settled_ + b], &block_keys, &block_values);
    keys.insert(keys.end(), block_keys.begin(), block_keys.end());
    values.insert(values.end(), block_values.begin(), block_values.end());
  }
  const KvPageLayout layout{format_, head_dim_, chunk_blocks_ * slots_};
  std::vector<std::byte> page(layout.bytes());
  EncodePage(layout, keys, values, layout.page_tokens, page);
  const auto erase = [&](auto* list) {
    list->erase(list->begin() + settled_, list->begin() + settled_ + chunk_blocks_);
  };
  erase(&lane->pages);
  erase(&lane->data);
  erase(&lane->positions);
  Put(lane, settled_, layout, std::move(page), first_ + settled_ * chunk_blocks_);
}

void PackedWindow::Settle(int recent) {
  while ((settled_ + 1) * chunk_blocks_ + recent <= lanes_.front().blocks) {
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
    lane.pages.erase(lane.pages.begin());
    lane.data.erase(lane.data.begin());
    lane.positions.erase(lane.positions.begin());
    lane.blocks -= chunk_blocks_;
  }
  first_ += chunk_blocks_;
  --settled_;
}

int64_t PackedWindow::bytes() const {
  int64_t bytes = 0;
  for (const Lane& lane : lanes_) {
    for (const auto& data : lane.data) bytes += static_cast<int64_t>(data.size());
  }
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
      const std::vector<uint8_t>& bytes = pages[i][page];
      std::vector<std::byte> data(bytes.size());
      std::copy(bytes.begin(), bytes.end(), reinterpret_cast<uint8_t*>(data.data()));
      Put(&lane, page, layout, std::move(data), first + lane.blocks);
      lane.blocks += page < settled ? chunk_blocks_ : 1;
      std::vector<float> keys, values;
      DecodeRows(lane.pages.back(), &keys, &values);
      const auto finite = [](float x) { return std::isfinite(x); };
      if (!std::ranges::all_of(keys, finite) || !std::ranges::all_of(values, finite)) {
        Reset(first);
        return false;
      }
    }
  }
  settled_ = settled;
  return true;
}

}  // namespace kvla
