// SPDX-License-Identifier: Apache-2.0
// Attention over pages, parted into blocks: what a block is given, and how it lays out its memory.
// Plain data and arithmetic, for host and CUDA device alike.
//
// A lane's pages are its far region and then its near one. A split is a run of them; each split of
// each lane is a block of threads that writes a partial softmax, and merge_splits.h puts a lane's
// together (flash decoding: Dao et al., 2023). Splits are there to fill the device: one lane alone
// would keep one of a hundred multiprocessors busy.
#ifndef KVLA_KV_EFFICIENT_ATTENTION_BLOCK_JOB_H_
#define KVLA_KV_EFFICIENT_ATTENTION_BLOCK_JOB_H_

#include <bit>
#include <cstddef>
#include <cstdint>

#include "kv_efficient/kv_format.h"

namespace kvla {

inline constexpr int kMaxBlockRows = 16;      // query rows that one block takes at a time
inline constexpr int kBlockDimMultiple = 32;  // of head_dim, so that rows of codes are whole chunks
inline constexpr int kMaxBlockDim = 256;

struct KvPage {
  const std::byte* data = nullptr;  // KvPageLayout{format, head_dim, page_tokens}; at 16 bytes
  const float* bias = nullptr;      // [tokens], added to the scores; null: none
  int tokens = 0;                   // 0 to page_tokens
  KvFormat format = KvFormat::kF32;
};

struct PagedLane {
  const KvPage* pages = nullptr;  // [far_pages + near_pages], the far ones first
  int far_pages = 0, near_pages = 0;
  const float* far_queries = nullptr;   // [rows, head_dim], scaled and rotated for the region; may
  const float* near_queries = nullptr;  // be null where it has no pages
  float* out = nullptr;                 // [rows, head_dim]; zeros where the lane has no token
  float* log_sum_exp = nullptr;         // [rows]; -infinity where it has none
};

// The same for all lanes of a launch; lanes differ in what they hold.
struct PagedShape {
  int head_dim = 0;                  // a multiple of kBlockDimMultiple, at most kMaxBlockDim
  int page_tokens = 0;               // capacity of a page
  int rows = 0;                      // query heads of the group x their tokens
  KvFormat widest = KvFormat::kF32;  // of any page
};

constexpr int CeilDiv(int64_t a, int64_t b) { return static_cast<int>((a + b - 1) / b); }

// A block's shared memory. It reads keys and values in tiles: up to tile_tokens of one page, as
// stored, while it computes on the tile before. Rows are an odd number of 16-byte chunks apart, so
// that threads that read one key each never meet in a bank.
struct BlockSpace {
  static constexpr int kTileBytes = 8704;  // 32 rows of 64 f32: five blocks a multiprocessor
  static constexpr int kChunkBytes = 16;

  static constexpr int Stride(KvFormat format, int head_dim) {
    return (head_dim * BitsOf(format) / 8 / kChunkBytes | 1) * kChunkBytes;
  }
  // A power of two, so that threads share out over it.
  static constexpr int TileTokens(KvFormat format, const PagedShape& shape, int threads) {
    const int fit = kTileBytes / Stride(format, shape.head_dim);
    const int most = fit < threads ? fit : threads;
    const int page = shape.page_tokens > 4 ? shape.page_tokens : 4;  // weights are read by four
    return page < most ? std::bit_ceil(static_cast<unsigned>(page))
                       : std::bit_floor(static_cast<unsigned>(most));
  }

  constexpr BlockSpace() = default;
  constexpr BlockSpace(const PagedShape& shape, int rows, int threads) {
    for (const KvFormat format : kKvFormats) {
      const int tokens = TileTokens(format, shape, threads);
      const int bytes = tokens * Stride(format, shape.head_dim);
      tile_tokens[static_cast<int>(format)] = tokens;
      if (format >= shape.widest && bytes > tile_bytes) tile_bytes = bytes;
    }
    const int floats = sizeof(float);
    queries = 0;
    scores = queries + rows * shape.head_dim * floats;
    state = scores + rows * threads * floats;
    key_scales = state + CeilDiv(3 * rows, 4) * 4 * floats;
    scale_bytes = 2 * shape.head_dim * floats;
    value_scales = key_scales + 2 * scale_bytes;
    bias = value_scales + 2 * 2 * threads * floats;
    keys = bias + 2 * threads * floats;
    values = keys + 2 * tile_bytes;
    // At the end the threads' sums take the tiles' place.
    const int sums = threads * 4 * rows * floats;
    bytes = keys + (4 * tile_bytes > sums ? 4 * tile_bytes : sums);
  }

  int tile_tokens[4] = {};  // by format
  int tile_bytes = 0, scale_bytes = 0;
  // Offsets; what a tile needs is there twice.
  int queries = 0, scores = 0, state = 0, key_scales = 0, value_scales = 0, bias = 0, keys = 0,
      values = 0;
  int bytes = 0;
};

struct BlockJob {
  const PagedLane* lanes = nullptr;
  PagedShape shape;
  BlockSpace space;  // of that shape and of the blocks
  int pages_per_split = 0;
  int splits = 0;  // of the longest lane
  // Of each lane, split and row; unused where a lane has one split.
  float* partial_out = nullptr;  // [head_dim], not yet divided by the sum
  float* partial_max = nullptr;
  float* partial_sum = nullptr;

  constexpr int64_t PartialAt(int lane, int split, int row) const {
    return (int64_t{lane} * splits + split) * shape.rows + row;
  }
};

constexpr int SplitsOf(const PagedLane& lane, int pages_per_split) {
  return CeilDiv(lane.far_pages + lane.near_pages, pages_per_split);
}

// So many that all blocks together are four times what the device runs at once: the last of them
// then leave little of it idle, and merging stays cheap.
constexpr int PagesPerSplit(int64_t total_pages, int row_tiles, int64_t resident_blocks) {
  const int pages = CeilDiv(total_pages * row_tiles, 4 * resident_blocks);
  return pages > 0 ? pages : 1;
}

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_ATTENTION_BLOCK_JOB_H_
