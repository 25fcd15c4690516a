// SPDX-License-Identifier: Apache-2.0
// How a block of threads reads one split of a lane's pages: tile by tile into shared memory, as
// stored, two tiles at a time.
#ifndef KVLA_KV_EFFICIENT_ATTENTION_BLOCK_TILES_H_
#define KVLA_KV_EFFICIENT_ATTENTION_BLOCK_TILES_H_

#include "kv_efficient/attention/block_job.h"
#include "kv_efficient/attention/block_team.h"

namespace kvla {

struct Tile {
  int page = 0, first = 0, tokens = 0;  // `tokens` of a page from `first`; 0: no more
  KvFormat format = KvFormat::kF32;
};

// f.operator()<format>(). A tile is of one format, so that all threads take the same branch.
template <class F>
KVLA_DEVICE void WithFormat(KvFormat format, const F& f) {
  if (format == KvFormat::kF32) f.template operator()<KvFormat::kF32>();
  if (format == KvFormat::kBf16) f.template operator()<KvFormat::kBf16>();
  if (format == KvFormat::kInt8) f.template operator()<KvFormat::kInt8>();
  if (format == KvFormat::kInt4) f.template operator()<KvFormat::kInt4>();
}

template <class Team>
class BlockTiles {
 public:
  KVLA_DEVICE BlockTiles(Team& team, const BlockJob& job, const PagedLane& lane, int end_page)
      : team_(team), job_(job), pages_(lane.pages), end_page_(end_page) {}

  // The first tile from there; slot: which of the two places it goes to.
  KVLA_DEVICE Tile From(int page, int first) const {
    for (; page < end_page_; ++page, first = 0) {
      const int left = pages_[page].tokens - first;
      const KvFormat format = pages_[page].format;
      if (left > 0) return {page, first, left < Slots(format) ? left : Slots(format), format};
    }
    return {};
  }

  // Two groups of copies: what the scores need, then what the values need. Also of no tile.
  KVLA_DEVICE void Fetch(const Tile& tile, int slot) const {
    const KvPage page = tile.tokens > 0 ? pages_[tile.page] : KvPage{};
    const KvPageLayout layout{tile.format, job_.shape.head_dim, job_.shape.page_tokens};
    team_.CopyGroup([&](int rank) {
      if (tile.tokens == 0) return;
      CopyRows(rank, tile, page.data + layout.keys(),
               job_.space.keys + slot * job_.space.tile_bytes);
      if (HasScales(tile.format)) {  // the zeros lie behind the scales
        std::byte* to = team_.shared() + job_.space.key_scales + slot * job_.space.scale_bytes;
        for (int i = rank * 16; i < job_.space.scale_bytes; i += Team::kSize * 16) {
          team_.template Copy<16>(to + i, page.data + layout.key_scales() + i);
        }
      }
      if (page.bias != nullptr && rank < tile.tokens) {
        team_.template Copy<4>(Bias(slot) + rank, page.bias + tile.first + rank);
      }
    });
    team_.CopyGroup([&](int rank) {
      if (tile.tokens == 0) return;
      CopyRows(rank, tile, page.data + layout.values(),
               job_.space.values + slot * job_.space.tile_bytes);
      if (rank < tile.tokens && HasScales(tile.format)) {
        float* to = ValueScales(slot) + rank;
        const auto from = int64_t{tile.first + rank} * static_cast<int>(sizeof(float));
        team_.template Copy<4>(to, page.data + layout.value_scales() + from);
        team_.template Copy<4>(to + Team::kSize, page.data + layout.value_zeros() + from);
      }
    });
  }

  // Keys that there is room for: the distance of rows of scores.
  KVLA_DEVICE int Slots(KvFormat format) const {
    return job_.space.tile_tokens[static_cast<int>(format)];
  }

  // Where a fetched tile lies.
  KVLA_DEVICE const std::byte* Key(KvFormat format, int slot, int token) const {
    return Row(job_.space.keys, format, slot, token);
  }
  // Four dimensions of a token's values, decoded.
  template <KvFormat kFormat>
  KVLA_DEVICE Quad ValueQuad(int slot, int token, int column) const {
    using Four = Codes<kFormat, 4>;
    const std::byte* row = Row(job_.space.values, kFormat, slot, token);
    const auto codes = LoadAligned<Four>(row + column * sizeof(Four));
    Quad values;
    KVLA_UNROLL
    for (int i = 0; i < 4; ++i) {
      values.at[i] = codes.At(i);
      if constexpr (HasScales(kFormat)) {
        const float* scales = ValueScales(slot) + token;
        values.at[i] = Dequantized(values.at[i], scales[0], scales[Team::kSize]);
      }
    }
    return values;
  }
  KVLA_DEVICE const float* KeyScales(int slot) const {  // [2, head_dim]: scales, zeros
    return Floats(job_.space.key_scales + slot * job_.space.scale_bytes);
  }
  KVLA_DEVICE float* ValueScales(int slot) const {  // [2, kSize]
    return Floats(job_.space.value_scales) + slot * 2 * Team::kSize;
  }
  KVLA_DEVICE float* Bias(int slot) const { return Floats(job_.space.bias) + slot * Team::kSize; }

 private:
  KVLA_DEVICE float* Floats(int offset) const {
    return reinterpret_cast<float*>(team_.shared() + offset);
  }
  KVLA_DEVICE const std::byte* Row(int section, KvFormat format, int slot, int token) const {
    return team_.shared() + section + slot * job_.space.tile_bytes +
           token * BlockSpace::Stride(format, job_.shape.head_dim);
  }

  KVLA_DEVICE void CopyRows(int rank, const Tile& tile, const std::byte* section, int to) const {
    const int row_bytes = job_.shape.head_dim * BitsOf(tile.format) / 8;
    const int stride = BlockSpace::Stride(tile.format, job_.shape.head_dim);
    const Strip strip(rank, Team::kSize, row_bytes / BlockSpace::kChunkBytes);
    if (strip.idle) return;
    const int at = strip.column * BlockSpace::kChunkBytes;
    for (int token = strip.first; token < tile.tokens; token += strip.step) {
      team_.template Copy<16>(team_.shared() + to + token * stride + at,
                              section + int64_t{tile.first + token} * row_bytes + at);
    }
  }

  Team& team_;
  const BlockJob& job_;
  const KvPage* pages_;
  const int end_page_;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_ATTENTION_BLOCK_TILES_H_
