// SPDX-License-Identifier: Apache-2.0
// The running maximum and sum of a block's rows, and how a tile's scores become weights (online
// softmax: Milakov and Gimelshein, arXiv:1805.02867). A row is one warp's alone.
#ifndef KVLA_KV_EFFICIENT_ATTENTION_BLOCK_SOFTMAX_H_
#define KVLA_KV_EFFICIENT_ATTENTION_BLOCK_SOFTMAX_H_

#include <cmath>

#include "kv_efficient/attention/block_team.h"

namespace kvla {

inline constexpr float kLowestScore = -3.0e38F;  // of no key; its weight is 0 beside any other

template <class Team, int kRows>
class BlockSoftmax {
 public:
  KVLA_DEVICE BlockSoftmax(Team& team, int at) : team_(team), at_(at) {}

  // In shared memory, [kRows]. Shrink: what the sums so far are to be multiplied by.
  KVLA_DEVICE float* Max() const { return reinterpret_cast<float*>(team_.shared() + at_); }
  KVLA_DEVICE float* Sum() const { return Max() + kRows; }
  KVLA_DEVICE float* Shrink() const { return Max() + 2 * kRows; }

  KVLA_DEVICE void Begin() const {
    team_.ForEach([&](int rank) {
      if (rank >= kRows) return;
      Max()[rank] = kLowestScore;
      Sum()[rank] = 0;
    });
  }

  KVLA_DEVICE float LogSumExp(int row) const {
    return Sum()[row] == 0 ? -INFINITY : Max()[row] + logf(Sum()[row]);
  }

  // Sums the ways of scores [ways, kRows, slots] and turns them into weights [kRows, slots] under
  // the new maximum; those up to a multiple of four are 0. bias: [tokens] or null.
  KVLA_DEVICE void Weights(float* scores, int slots, int ways, int tokens,
                           const float* bias) const {
    typename Team::template Private<RowPart> parts;
    team_.ForEach(parts, [&](int rank, RowPart& mine) {
      mine = {};
      OfWarp(rank, [&](int i, int row, int lane) {
        mine.top[i] = Max()[row];
        for (int key = lane; key < tokens; key += kWarpSize) {
          float score = bias != nullptr ? bias[key] : 0;
          for (int way = 0; way < ways; ++way) score += scores[(way * kRows + row) * slots + key];
          scores[row * slots + key] = score;
          mine.top[i] = fmaxf(mine.top[i], score);
        }
      });
    });
    KVLA_UNROLL
    for (int i = 0; i < kRowsOfWarp; ++i) {
      team_.WarpMax(parts, [i](RowPart& mine) -> float& { return mine.top[i]; });
    }
    team_.ForEach(parts, [&](int rank, RowPart& mine) {
      OfWarp(rank, [&](int i, int row, int lane) {
        for (int key = lane; key < (tokens + 3) / 4 * 4; key += kWarpSize) {
          float& at = scores[row * slots + key];
          at = key < tokens ? expf(at - mine.top[i]) : 0;
          mine.sum[i] += at;
        }
      });
    });
    KVLA_UNROLL
    for (int i = 0; i < kRowsOfWarp; ++i) {
      team_.WarpSum(parts, [i](RowPart& mine) -> float& { return mine.sum[i]; });
    }
    team_.ForEach(parts, [&](int rank, RowPart& mine) {
      OfWarp(rank, [&](int i, int row, int lane) {
        if (lane != 0) return;
        const float shrink = expf(Max()[row] - mine.top[i]);
        Shrink()[row] = shrink;
        Sum()[row] = fmaf(Sum()[row], shrink, mine.sum[i]);
        Max()[row] = mine.top[i];
      });
    });
  }

 private:
  static constexpr int kWarps = Team::kSize / kWarpSize;
  static constexpr int kRowsOfWarp = (kRows + kWarps - 1) / kWarps;

  struct RowPart {
    float top[kRowsOfWarp], sum[kRowsOfWarp];
  };
  // f(which of the warp's rows, the row, the thread's place in the warp).
  template <class F>
  KVLA_DEVICE static void OfWarp(int rank, const F& f) {
    KVLA_UNROLL
    for (int i = 0; i < kRowsOfWarp; ++i) {
      const int row = rank / kWarpSize + i * kWarps;
      if (row < kRows) f(i, row, rank % kWarpSize);
    }
  }

  Team& team_;
  const int at_;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_ATTENTION_BLOCK_SOFTMAX_H_
