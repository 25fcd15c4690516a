// SPDX-License-Identifier: Apache-2.0
// ragged_attention.h over vectors of one width; compiled once for each. A vector holds one value of
// each of its queries; keys and values are read element by element and broadcast, so that nothing
// is transposed and nothing is summed over lanes.
#ifndef KVLA_KV_EFFICIENT_ATTENTION_ATTENTION_TILES_H_
#define KVLA_KV_EFFICIENT_ATTENTION_ATTENTION_TILES_H_

#include "kernels/vectors.h"
#include "kv_efficient/attention/page_decoder.h"
#include "kv_efficient/attention/query_group.h"
#include "kv_efficient/attention/ragged_attention.h"

namespace kvla {

template <class S>
class AttentionTiles {
 public:
  static constexpr AttentionKernels Table(const char* name) { return {name, Attend, KeyMass}; }

 private:
  using V = typename S::V;
  static constexpr int kLanes = S::kLanes;
  static constexpr int kTile = kTileKeys;

  static constexpr float kLowest = -3.0e38F;  // below any score

  // visit(first, count, keys, values) for every tile of the region, in order.
  template <class Visit>
  static void ForTiles(const KvRegion& region, int head_dim, Visit visit) {
    const auto tiles = [&](int tokens, auto each) {
      for (int at = 0; at < tokens; at += kTile) {
        each(at, tokens - at < kTile ? tokens - at : kTile);
      }
    };
    if (region.page_count == 0) {
      tiles(region.tokens, [&](int at, int count) {
        const int64_t offset = static_cast<int64_t>(at) * head_dim;
        visit(at, count, region.keys + offset, region.values + offset);
      });
      return;
    }
    int first = 0;
    for (int p = 0; p < region.page_count; ++p) {
      const EncodedPage& page = region.pages[p];
      tiles(page.tokens, [&](int at, int count) {
        float* values = region.scratch + kTile * head_dim;
        PageDecoder<S>::Decode(page, at, count, region.scratch, values);
        if (region.cos != nullptr) {
          PageDecoder<S>::Rotate(region, page.positions + at, count, head_dim, region.scratch);
        }
        visit(first + at, count, region.scratch, values);
      });
      first += page.tokens;
    }
  }

  template <int kWide>
  static void Run(const AttentionJob& job, int row, int stride) {
    QueryGroup<S, kWide> group;
    float* out = job.out + row;
    for (int w = 0; w < kWide; ++w) {
      group.maximum[w] = S::Set(kLowest);
      group.sum[w] = S::Zero();
      for (int d = 0; d < job.head_dim; ++d) S::Store(out + d * stride + w * kLanes, S::Zero());
    }
    for (const KvRegion* region : {&job.far, &job.near}) {
      ForTiles(
          *region, job.head_dim, [&](int first, int count, const float* keys, const float* values) {
            const float* bias = region->bias != nullptr ? region->bias + first : nullptr;
            group.Tile(region->queries + row, stride, keys, values, bias, count, job.head_dim, out);
          });
    }
    for (int w = 0; w < kWide; ++w) {
      for (int d = 0; d < job.head_dim; ++d) {
        float* at = out + d * stride + w * kLanes;
        S::Store(at, S::Div(S::Load(at), group.sum[w]));
      }
      float maximum[kLanes], sum[kLanes];
      S::Store(maximum, group.maximum[w]);
      S::Store(sum, group.sum[w]);
      for (int i = 0; i < kLanes; ++i) {
        job.log_sum_exp[row + w * kLanes + i] = maximum[i] + Log(sum[i]);
      }
    }
  }

  // Not std::log: this file may not instantiate what others share.
  static float Log(float x) { return static_cast<float>(__builtin_log(static_cast<double>(x))); }

  static void Attend(const AttentionJob& job) {
    const int stride = PaddedRows(job.rows);
    int row = 0;
    for (; row + kLanes < job.rows; row += 2 * kLanes) {
      if (row + 2 * kLanes <= stride) {
        Run<2>(job, row, stride);
      } else {
        Run<1>(job, row, stride);
        Run<1>(job, row + kLanes, stride);
      }
    }
    if (row < job.rows) Run<1>(job, row, stride);
  }

  static void KeyMass(const KvRegion& region, int head_dim, int rows, const float* log_sum_exp,
                      float* mass) {
    const int stride = PaddedRows(rows);
    float scores[kTile * kLanes];
    for (int i = 0; i < region.tokens; ++i) mass[i] = 0;
    for (int row = 0; row < rows; row += kLanes) {
      const int used = rows - row < kLanes ? rows - row : kLanes;
      const V normaliser = S::Load(log_sum_exp + row);
      ForTiles(region, head_dim, [&](int first, int count, const float* keys, const float*) {
        V top[1] = {S::Set(kLowest)};
        const float* bias = region.bias != nullptr ? region.bias + first : nullptr;
        QueryGroup<S, 1>::TileScores(region.queries + row, stride, keys, bias, count, head_dim,
                                     scores, top);
        for (int k = 0; k < count; ++k) {
          float weight[kLanes];
          S::Store(weight, Exp<S>(S::Sub(S::Load(scores + k * kLanes), normaliser)));
          for (int i = 0; i < used; ++i) mass[first + k] += weight[i];
        }
      });
    }
  }
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_ATTENTION_ATTENTION_TILES_H_
