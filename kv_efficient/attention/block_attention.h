// SPDX-License-Identifier: Apache-2.0
// What a block of threads computes: attention of up to kRows queries over one split of one lane's
// pages, far ones under the far queries, near ones under the near.
//
// Tile by tile, by online softmax (Milakov and Gimelshein, arXiv:1805.02867). Scores: a thread
// takes a key, or a part of its dimensions, and all rows, so that a key is decoded once. Weights: a
// warp takes a row. Values: a thread keeps four dimensions of all rows in registers over a part of
// the keys; those parts are summed at the end. While a tile is computed the next one is on its way.
#ifndef KVLA_KV_EFFICIENT_ATTENTION_BLOCK_ATTENTION_H_
#define KVLA_KV_EFFICIENT_ATTENTION_BLOCK_ATTENTION_H_

#include <cmath>

#include "kv_efficient/attention/block_job.h"
#include "kv_efficient/attention/block_softmax.h"
#include "kv_efficient/attention/block_team.h"
#include "kv_efficient/attention/block_tiles.h"

namespace kvla {

template <class Team, int kRows>
class BlockAttention {
 public:
  // row_tile: which kRows of the rows.
  KVLA_DEVICE BlockAttention(Team& team, const BlockJob& job, int lane, int row_tile, int split)
      : team_(team),
        job_(job),
        lane_(job.lanes[lane]),
        softmax_(team, job.space.state),
        width_(job.shape.head_dim),
        lane_index_(lane),
        first_row_(row_tile * kRows),
        rows_(Least(kRows, job.shape.rows - first_row_)),
        split_(split),
        splits_(SplitsOf(lane_, job.pages_per_split)),
        tiles_(team, job, lane_,
               Least((split + 1) * job.pages_per_split, lane_.far_pages + lane_.near_pages)) {}

  KVLA_DEVICE void Run() {
    Tile now = tiles_.From(split_ * job_.pages_per_split, 0);
    softmax_.Begin();
    team_.ForEach(sums_, [](int, Sums& mine) { mine = {}; });
    tiles_.Fetch(now, 0);
    const float* loaded = nullptr;
    for (int slot = 0; now.tokens > 0; slot ^= 1) {
      const Tile next = tiles_.From(now.page, now.first + now.tokens);
      tiles_.Fetch(next, slot ^ 1);
      const float* queries = now.page < lane_.far_pages ? lane_.far_queries : lane_.near_queries;
      if (queries != loaded) LoadQueries(queries);
      loaded = queries;
      team_.template WaitAllBut<3>();  // the keys are there; their values may come later
      const int ways = DotProducts(now, slot);
      const float* bias = lane_.pages[now.page].bias != nullptr ? tiles_.Bias(slot) : nullptr;
      softmax_.Weights(Floats(job_.space.scores), tiles_.Slots(now.format), ways, now.tokens, bias);
      team_.template WaitAllBut<2>();
      AddValues(now, slot);
      now = next;
    }
    Finish();
  }

 private:
  KVLA_DEVICE static int Least(int a, int b) { return a < b ? a : b; }

  struct Sums {
    float of[kRows][4];
  };

  KVLA_DEVICE float* Floats(int offset) const {
    return reinterpret_cast<float*>(team_.shared() + offset);
  }
  KVLA_DEVICE void LoadQueries(const float* from) {
    team_.ForEach([&](int rank) {
      for (int i = rank; i < kRows * width_; i += Team::kSize) {
        Floats(job_.space.queries)[i] = i < rows_ * width_ ? from[first_row_ * width_ + i] : 0;
      }
    });
  }

  // scores [ways, kRows, slots]: partial sums of query times key; returns the ways.
  KVLA_DEVICE int DotProducts(const Tile& tile, int slot) {
    const int slots = tiles_.Slots(tile.format);
    const int chunks = width_ * BitsOf(tile.format) / 8 / BlockSpace::kChunkBytes;
    const int ways = Least(Team::kSize / slots, chunks);
    team_.ForEach([&](int rank) {
      const int key = rank & (slots - 1), way = rank / slots;
      if (key >= tile.tokens || way >= ways) return;
      const std::byte* row = tiles_.Key(tile.format, slot, key);
      const float* scales = tiles_.KeyScales(slot);
      float sum[kRows] = {};
      WithFormat(tile.format, [&]<KvFormat kFormat>() {
        for (int c = way; c < chunks; c += ways) AddChunk<kFormat>(row, scales, c, sum);
      });
      KVLA_UNROLL
      for (int r = 0; r < kRows; ++r) {
        Floats(job_.space.scores)[(way * kRows + r) * slots + key] = sum[r];
      }
    });
    return ways;
  }

  template <KvFormat kFormat>
  KVLA_DEVICE void AddChunk(const std::byte* row, const float* scales, int chunk,
                            float* sum) const {
    constexpr int kInChunk = BlockSpace::kChunkBytes * 8 / BitsOf(kFormat);
    const auto codes = LoadAligned<Codes<kFormat, kInChunk>>(row + chunk * BlockSpace::kChunkBytes);
    KVLA_UNROLL
    for (int j = 0; j < kInChunk; j += 4) {
      const int d = chunk * kInChunk + j;
      Quad key{{codes.At(j), codes.At(j + 1), codes.At(j + 2), codes.At(j + 3)}};
      if constexpr (HasScales(kFormat)) {
        const auto scale = LoadAligned<Quad>(scales + d),
                   zero = LoadAligned<Quad>(scales + width_ + d);
        KVLA_UNROLL
        for (int i = 0; i < 4; ++i) key.at[i] = Dequantized(key.at[i], scale.at[i], zero.at[i]);
      }
      KVLA_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const auto query = LoadAligned<Quad>(Floats(job_.space.queries) + r * width_ + d);
        KVLA_UNROLL
        for (int i = 0; i < 4; ++i) sum[r] = fmaf(query.at[i], key.at[i], sum[r]);
      }
    }
  }

  KVLA_DEVICE void AddValues(const Tile& tile, int slot) {
    const int slots = tiles_.Slots(tile.format);
    team_.ForEach(sums_, [&](int rank, Sums& mine) {
      const Strip strip(rank, Team::kSize, width_ / 4);
      if (strip.idle) return;
      KVLA_UNROLL
      for (int r = 0; r < kRows; ++r) {
        KVLA_UNROLL
        for (float& sum : mine.of[r]) sum *= softmax_.Shrink()[r];
      }
      WithFormat(tile.format, [&]<KvFormat kFormat>() {
        for (int key = 4 * strip.first; key < tile.tokens; key += 4 * strip.step) {
          AddFour<kFormat>(tile, slot, strip.column, key, slots, mine);
        }
      });
    });
  }

  // Four keys' values times their weights.
  template <KvFormat kFormat>
  KVLA_DEVICE void AddFour(const Tile& tile, int slot, int column, int key, int slots,
                           Sums& mine) const {
    Quad values[4] = {};
    KVLA_UNROLL
    for (int k = 0; k < 4; ++k) {
      if (key + k >= tile.tokens) break;
      values[k] = tiles_.template ValueQuad<kFormat>(slot, key + k, column);
    }
    KVLA_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const auto weight = LoadAligned<Quad>(Floats(job_.space.scores) + r * slots + key);
      KVLA_UNROLL
      for (int k = 0; k < 4; ++k) {
        KVLA_UNROLL
        for (int i = 0; i < 4; ++i) {
          mine.of[r][i] = fmaf(weight.at[k], values[k].at[i], mine.of[r][i]);
        }
      }
    }
  }

  // Sums the threads' parts, in one order; the result where this is the lane's only split.
  KVLA_DEVICE void Finish() {
    float* parts = Floats(job_.space.keys);  // [step, kRows, head_dim]
    team_.ForEach(sums_, [&](int rank, Sums& mine) {
      const Strip strip(rank, Team::kSize, width_ / 4);
      if (strip.idle) return;
      KVLA_UNROLL
      for (int r = 0; r < kRows; ++r) {
        float* to = parts + (strip.first * kRows + r) * width_ + 4 * strip.column;
        KVLA_UNROLL
        for (int i = 0; i < 4; ++i) to[i] = mine.of[r][i];
      }
    });
    const bool whole = splits_ <= 1;
    team_.ForEach([&](int rank) {
      for (int i = rank; i < rows_ * width_; i += Team::kSize) {
        const int row = i / width_, d = i % width_;
        float sum = 0;
        for (int part = 0; part < Team::kSize / (width_ / 4); ++part) {
          sum += parts[part * kRows * width_ + i];
        }
        if (whole) {
          lane_.out[first_row_ * width_ + i] =
              softmax_.Sum()[row] == 0 ? 0 : sum / softmax_.Sum()[row];
        } else {
          job_.partial_out[job_.PartialAt(lane_index_, split_, first_row_ + row) * width_ + d] =
              sum;
        }
      }
      if (rank >= rows_) return;
      if (whole) {
        lane_.log_sum_exp[first_row_ + rank] = softmax_.LogSumExp(rank);
      } else {
        const int64_t at = job_.PartialAt(lane_index_, split_, first_row_ + rank);
        job_.partial_max[at] = softmax_.Max()[rank];
        job_.partial_sum[at] = softmax_.Sum()[rank];
      }
    });
  }

  Team& team_;
  const BlockJob& job_;
  const PagedLane lane_;
  const BlockSoftmax<Team, kRows> softmax_;
  const int width_, lane_index_, first_row_, rows_, split_, splits_;
  const BlockTiles<Team> tiles_;
  typename Team::template Private<Sums> sums_;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_ATTENTION_BLOCK_ATTENTION_H_
