// SPDX-License-Identifier: Apache-2.0
// Puts the partial softmaxes of one row's splits together: what a block of threads computes after
// block_attention.h.
#ifndef KVLA_KV_EFFICIENT_ATTENTION_MERGE_SPLITS_H_
#define KVLA_KV_EFFICIENT_ATTENTION_MERGE_SPLITS_H_

#include <cmath>

#include "kv_efficient/attention/block_job.h"
#include "kv_efficient/attention/block_team.h"

namespace kvla {

template <class Team>
class SplitMerge {
 public:
  // Shared memory: weights of kSize splits, one number a warp, parts of the sums.
  static constexpr int kSharedBytes = (Team::kSize + kWarpSize + 4 * Team::kSize) * sizeof(float);

  KVLA_DEVICE SplitMerge(Team& team, const BlockJob& job, int lane, int row)
      : team_(team),
        job_(job),
        lane_(job.lanes[lane]),
        width_(job.shape.head_dim),
        splits_(SplitsOf(lane_, job.pages_per_split)),
        row_(row),
        first_(job.PartialAt(lane, 0, row)) {}

  // Nothing where the one split has written the result.
  KVLA_DEVICE void Run() {
    if (splits_ <= 1) return;
    team_.ForEach(mine_, [&](int rank, Mine& mine) {
      mine = {};
      mine.number = job_.partial_max[first_];
      for (int s = rank; s < splits_; s += Team::kSize) {
        mine.number = fmaxf(mine.number, job_.partial_max[At(s)]);
      }
    });
    team_.WarpMax(mine_, [](Mine& mine) -> float& { return mine.number; });
    StoreOfWarps();
    team_.ForEach(mine_, [&](int, Mine& mine) {
      mine.top = OfWarps()[0];
      for (int w = 1; w < kWarps; ++w) mine.top = fmaxf(mine.top, OfWarps()[w]);
      mine.number = 0;
    });
    for (int batch = 0; batch < splits_; batch += Team::kSize) AddSplits(batch);
    team_.WarpSum(mine_, [](Mine& mine) -> float& { return mine.number; });
    StoreOfWarps();
    Finish();
  }

 private:
  static constexpr int kWarps = Team::kSize / kWarpSize;
  struct Mine {
    float number, top;
    float sum[4];
  };

  KVLA_DEVICE float* Weights() const { return reinterpret_cast<float*>(team_.shared()); }
  KVLA_DEVICE float* OfWarps() const { return Weights() + Team::kSize; }
  KVLA_DEVICE float* Parts() const { return OfWarps() + kWarpSize; }
  KVLA_DEVICE int64_t At(int split) const { return first_ + int64_t{split} * job_.shape.rows; }

  KVLA_DEVICE void StoreOfWarps() {
    team_.ForEach(mine_, [&](int rank, Mine& mine) {
      if (rank % kWarpSize == 0) OfWarps()[rank / kWarpSize] = mine.number;
    });
  }

  // kSize splits from that one: their weights, then their sums by four dimensions a thread.
  KVLA_DEVICE void AddSplits(int batch) {
    team_.ForEach(mine_, [&](int rank, Mine& mine) {
      if (batch + rank >= splits_) return;
      const float weight = expf(job_.partial_max[At(batch + rank)] - mine.top);
      Weights()[rank] = weight;
      mine.number = fmaf(weight, job_.partial_sum[At(batch + rank)], mine.number);
    });
    team_.ForEach(mine_, [&](int rank, Mine& mine) {
      const Strip strip(rank, Team::kSize, width_ / 4);
      if (strip.idle) return;
      for (int s = strip.first; s < Team::kSize && batch + s < splits_; s += strip.step) {
        const auto part =
            LoadAligned<Quad>(job_.partial_out + At(batch + s) * width_ + 4 * strip.column);
        KVLA_UNROLL
        for (int i = 0; i < 4; ++i) mine.sum[i] = fmaf(Weights()[s], part.at[i], mine.sum[i]);
      }
    });
  }

  KVLA_DEVICE void Finish() {
    team_.ForEach(mine_, [&](int rank, Mine& mine) {
      const Strip strip(rank, Team::kSize, width_ / 4);
      if (strip.idle) return;
      float* to = Parts() + strip.first * width_ + 4 * strip.column;
      KVLA_UNROLL
      for (int i = 0; i < 4; ++i) to[i] = mine.sum[i];
    });
    team_.ForEach(mine_, [&](int rank, Mine& mine) {
      float total = 0;
      for (int w = 0; w < kWarps; ++w) total += OfWarps()[w];
      for (int d = rank; d < width_; d += Team::kSize) {
        float sum = 0;
        for (int part = 0; part < Team::kSize / (width_ / 4); ++part) {
          sum += Parts()[part * width_ + d];
        }
        lane_.out[int64_t{row_} * width_ + d] = total == 0 ? 0 : sum / total;
      }
      if (rank == 0) lane_.log_sum_exp[row_] = total == 0 ? -INFINITY : mine.top + logf(total);
    });
  }

  Team& team_;
  const BlockJob& job_;
  const PagedLane lane_;
  const int width_, splits_, row_;
  const int64_t first_;
  typename Team::template Private<Mine> mine_;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_ATTENTION_MERGE_SPLITS_H_
