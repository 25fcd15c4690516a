// SPDX-License-Identifier: Apache-2.0
// ChunkStore: copies and saved states. What is restored may be anything: all of it is checked
// before the store changes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kv_efficient/saved_state.h"
#include "kv_efficient/store/chunk_store.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr int64_t kValueBytes = sizeof(float);

// What the far tokens of a lane may be.
struct FarShape {
  int instruction = 0;  // tokens, which come first
  int chunks = 0;       // that have left
  int chunk_blocks = 0, slots = 0;

  // Of a chunk's original tokens: offset -> position.
  float PositionOf(int chunk, int offset) const {
    const int block = chunk * chunk_blocks + offset / slots;
    return static_cast<float>(block);
  }
  float MeanOf(int chunk) const {
    return static_cast<float>(chunk * chunk_blocks) + 0.5F * static_cast<float>(chunk_blocks - 1);
  }
};

// The instruction, then chunk after chunk: original tokens by offset, then all of its summaries or
// none, as MakeLane() leaves them; of any weight that a fit may give.
bool IsLane(const std::vector<FarToken>& lane, const FarShape& shape) {
  const auto is = [](const FarToken& t, const FarToken& want) {
    return t.chunk == want.chunk && t.offset == want.offset && t.count == want.count &&
           t.position == want.position && t.summary == want.summary &&
           (t.chunk < 0 ? t.weight == 1 : std::isfinite(t.weight) && t.weight > 0);
  };
  size_t i = 0;
  for (int offset = 0; offset < shape.instruction; ++offset, ++i) {
    if (i == lane.size() || !is(lane[i], {-1, offset, 1, -1})) return false;
  }
  for (int last = -1; i < lane.size();) {
    const int chunk = lane[i].chunk;
    if (chunk <= last || chunk >= shape.chunks) return false;
    last = chunk;
    const size_t begin = i;
    for (int before = -1; i < lane.size() && lane[i].chunk == chunk && lane[i].original(); ++i) {
      const int offset = lane[i].offset;
      if (offset <= before || offset >= shape.chunk_blocks * shape.slots) return false;
      if (!is(lane[i], {chunk, offset, 1, shape.PositionOf(chunk, offset)})) return false;
      before = offset;
    }
    if (i == lane.size() || lane[i].chunk != chunk) continue;
    const bool frames = lane[i].summary == SummaryKind::kFrames;
    for (int at = 0; at < (frames ? shape.chunk_blocks : shape.slots); ++at, ++i) {
      if (i == lane.size()) return false;
      const FarToken want =
          frames
              ? FarToken{chunk, at, shape.slots, shape.PositionOf(chunk, at * shape.slots),
                         SummaryKind::kFrames}
              : FarToken{chunk, at, shape.chunk_blocks, shape.MeanOf(chunk), SummaryKind::kSlots};
      if (!is(lane[i], want)) return false;
    }
    if (i - begin > static_cast<size_t>(shape.chunk_blocks) * shape.slots) return false;
  }
  return true;
}

// Whether `appended` says of each layer 0 or 1: none of them for an instruction of no tokens that
// was never given, and all alike once there are blocks.
bool IsAppended(const std::vector<int>& appended, int instruction, int blocks) {
  const auto given = std::ranges::count(appended, 1);
  if (given + std::ranges::count(appended, 0) != std::ssize(appended)) return false;
  if (given == 0) return instruction == 0;
  return blocks == 0 || given == std::ssize(appended);
}

}  // namespace

std::unique_ptr<ChunkStore> ChunkStore::Clone() const {
  Result<std::unique_ptr<ChunkStore>> copy =
      Create(geometry_, chunk_blocks_, rotary_, device_, format_, pool_);
  TORCH_CHECK(copy.ok(), copy.status().message());
  const Status s = (*copy)->Restore(Save());
  TORCH_CHECK(s.ok(), s.message());
  return std::move(copy).value();
}

std::vector<uint8_t> ChunkStore::Save() const {
  ByteWriter out;
  for (const int part : {geometry_.layers, geometry_.kv_heads, geometry_.head_dim,
                         geometry_.tokens_per_block, chunk_blocks_, static_cast<int>(format_),
                         instruction_, blocks_, near_begin_block_, static_cast<int>(far_.size())}) {
    out.Value(part);
  }
  out.List(instruction_appended_);
  for (const auto& lane : far_) out.List(lane);
  out.Value(encoded_ ? window_->settled() : 0);
  for (int lane = 0; lane < geometry_.lanes(); ++lane) {
    if (encoded_) {
      for (const auto& pages : {encoded_->pages(lane), window_->pages(lane)}) {
        for (const EncodedPage& page : pages) out.Raw(page.data, page.layout.bytes());
      }
      continue;
    }
    for (const at::Tensor& slab : {keys_, values_}) {
      for (const auto& [begin, count] : HeldRows(lane)) {
        const at::Tensor rows = slab.select(0, lane).narrow(0, begin, count).cpu().contiguous();
        out.Raw(rows.const_data_ptr<float>(), rows.numel() * kValueBytes);
      }
    }
  }
  return out.Take();
}

std::array<std::pair<int64_t, int64_t>, 2> ChunkStore::HeldRows(int lane) const {
  const int64_t far = std::ssize(far_of(lane));
  const int64_t near = int64_t{blocks_ - near_begin_block_} * geometry_.tokens_per_block;
  return {{{0, far}, {near_begin(), near}}};
}

bool ChunkStore::ReadPages(const std::vector<std::vector<FarToken>>& far, int settled, int blocks,
                           int first, ByteReader* in, EncodedFar* pages,
                           PackedWindow* window) const {
  const int chunks = (blocks - blocks % chunk_blocks_) / chunk_blocks_;
  if (settled < 0 || settled > chunks) return false;
  std::vector<std::vector<std::vector<uint8_t>>> near(geometry_.lanes());
  const auto read = [in](const KvPageLayout& layout, std::vector<uint8_t>* page) {
    page->resize(layout.bytes());
    return in->Raw(page->data(), page->size());
  };
  for (int lane = 0; lane < geometry_.lanes(); ++lane) {
    const std::vector<FarToken>& tokens = far[far.size() == 1 ? 0 : lane];
    size_t token = 0;
    for (const int run : PageRuns(tokens)) {
      std::vector<int32_t> positions;
      for (int i = 0; i < run; ++i) positions.push_back(tokens[token++].block());
      std::vector<uint8_t> page;
      if (!read(pages->LayoutOf(run), &page) || !pages->AddSaved(lane, positions, page)) {
        return false;
      }
    }
    const int count = settled + blocks - settled * chunk_blocks_;
    for (int i = 0; i < count; ++i) {
      if (!read(window->LayoutOf(i, settled), &near[lane].emplace_back())) return false;
    }
  }
  return window->Restore(first, blocks, settled, near);
}

// Sizes, counts, token lists and values are all checked before the first of them is taken, so that
// bytes from anywhere leave either a state that Save() could have written or an empty store.
Status ChunkStore::Restore(std::span<const uint8_t> bytes) {
  Reset();
  ByteReader in(bytes);
  const auto bad = [](const char* what) {
    return BadInput(
        fmt::format("the saved cache is cut short, "
                    "belongs to another geometry or is damaged: {}",
                    what));
  };
  for (const int want : {geometry_.layers, geometry_.kv_heads, geometry_.head_dim,
                         geometry_.tokens_per_block, chunk_blocks_, static_cast<int>(format_)}) {
    int got = 0;
    if (!in.Value(&got) || got != want) return bad("its sizes are others");
  }
  int instruction = 0, blocks = 0, near_begin_block = 0, lists = 0;
  std::vector<int> appended;
  if (!in.Value(&instruction) || !in.Value(&blocks) || !in.Value(&near_begin_block) ||
      !in.Value(&lists) || !in.List(&appended)) {
    return bad("it ends early");
  }
  if (instruction < 0 || instruction > geometry_.instruction_tokens || blocks < 0 ||
      blocks > geometry_.max_blocks || near_begin_block < 0 || near_begin_block > blocks ||
      near_begin_block % chunk_blocks_ != 0 || (lists != 1 && lists != geometry_.lanes()) ||
      std::ssize(appended) != geometry_.layers || !IsAppended(appended, instruction, blocks)) {
    return bad("its counts contradict each other");
  }
  const FarShape shape{instruction, near_begin_block / chunk_blocks_, chunk_blocks_,
                       geometry_.tokens_per_block};
  std::vector<std::vector<FarToken>> far(lists);
  for (auto& lane : far) {
    if (!in.List(&lane) || !IsLane(lane, shape)) return bad("its old tokens are no cache's");
  }
  int settled = 0;
  if (!in.Value(&settled)) return bad("it ends early");
  // Keys and values of every lane, near ones included, finite and to the end.
  EncodedFar pages(format_, geometry_.head_dim, geometry_.lanes());
  PackedWindow window(format_, geometry_.head_dim, geometry_.lanes(), chunk_blocks_,
                      geometry_.tokens_per_block);
  const ByteReader rows = in;
  if (encoded_) {
    if (!ReadPages(far, settled, blocks - near_begin_block, near_begin_block, &in, &pages,
                   &window)) {
      return bad("its pages");
    }
  } else {
    for (int lane = 0; lane < geometry_.lanes(); ++lane) {
      const int64_t tokens = std::ssize(far[lists == 1 ? 0 : lane]) +
                             int64_t{blocks - near_begin_block} * geometry_.tokens_per_block;
      for (int64_t i = 0; i < 2 * geometry_.head_dim * tokens; ++i) {
        float value = 0;
        if (!in.Value(&value) || !std::isfinite(value)) return bad("its keys or values");
      }
    }
  }
  if (!in.done() || (!encoded_ && settled != 0)) return bad("it goes on behind its end");

  instruction_ = instruction;
  blocks_ = blocks;
  near_begin_block_ = near_begin_block;
  instruction_appended_ = std::move(appended);
  appended_.assign(geometry_.layers, blocks);
  far_ = std::move(far);
  if (encoded_) {
    encoded_ = std::move(pages);
    window_ = std::move(window);
  }
  ByteReader values = rows;
  for (int lane = 0; !encoded_ && lane < geometry_.lanes(); ++lane) {
    for (at::Tensor* slab : {&keys_, &values_}) {
      for (const auto& [begin, count] : HeldRows(lane)) {
        at::Tensor held = torch::empty({count, geometry_.head_dim});
        values.Raw(held.data_ptr<float>(), held.numel() * kValueBytes);
        slab->select(0, lane).narrow(0, begin, count).copy_(held);
      }
    }
  }
  UpdateIndex();
  UpdatePages();
  return {};
}

}  // namespace kvla
