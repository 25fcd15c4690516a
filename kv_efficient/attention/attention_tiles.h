// SPDX-License-Identifier: Apache-2.0
// ragged_attention.h over vectors of one width; compiled once for each. A vector holds one value of
// each of its queries; keys and values are read element by element and broadcast, so that nothing
// is transposed and nothing is summed over lanes.
#ifndef KVLA_KV_EFFICIENT_ATTENTION_ATTENTION_TILES_H_
#define KVLA_KV_EFFICIENT_ATTENTION_ATTENTION_TILES_H_

#include "kernels/vectors.h"
#include "kv_efficient/attention/ragged_attention.h"

namespace kvla {

template <class S>
class AttentionTiles {
 public:
  static constexpr AttentionKernels Table(const char* name) { return {name, Attend, KeyMass}; }

 private:
  using V = typename S::V;
  static constexpr int kLanes = S::kLanes;
  static constexpr int kTile = 64;  // keys

  // kWide vectors of queries; as many sums at a time as hide a multiply-add's latency.
  template <int kWide>
  struct Group {
    static constexpr int kBlock = kWide == 1 ? 8 : 4;
    V maximum[kWide], sum[kWide];

    // scores[key][row] of kKeys keys; raises `top` to the largest.
    template <int kKeys>
    static void Scores(const float* queries, int stride, const float* keys, int head_dim,
                       const float* bias, float* scores, V* top) {
      V dot[kKeys][kWide];
      for (int k = 0; k < kKeys; ++k) {
        for (int w = 0; w < kWide; ++w) dot[k][w] = S::Zero();
      }
      for (int d = 0; d < head_dim; ++d) {
        V query[kWide];
        for (int w = 0; w < kWide; ++w) query[w] = S::Load(queries + d * stride + w * kLanes);
        for (int k = 0; k < kKeys; ++k) {
          const V key = S::Set(keys[k * head_dim + d]);
          for (int w = 0; w < kWide; ++w) dot[k][w] = S::Fma(key, query[w], dot[k][w]);
        }
      }
      for (int k = 0; k < kKeys; ++k) {
        for (int w = 0; w < kWide; ++w) {
          V score = dot[k][w];
          if (bias != nullptr) score = S::Add(score, S::Set(bias[k]));
          S::Store(scores + (k * kWide + w) * kLanes, score);
          top[w] = S::Max(top[w], score);
        }
      }
    }

    static void TileScores(const KvRegion& region, int row, int stride, int head_dim, int first,
                           int keys, float* scores, V* top) {
      const float* queries = region.queries + row;
      int k = 0;
      const auto at = [&](auto count) {
        constexpr int kKeys = decltype(count)::value;
        for (; k + kKeys <= keys; k += kKeys) {
          const float* bias = region.bias != nullptr ? region.bias + first + k : nullptr;
          Scores<kKeys>(queries, stride, region.keys + static_cast<int64_t>(first + k) * head_dim,
                        head_dim, bias, scores + k * kWide * kLanes, top);
        }
      };
      at(Count<kBlock>());
      at(Count<1>());
    }

    // out[d][row] += weights[key][row] * values[key][d] for kDims dimensions.
    template <int kDims>
    static void AddValues(const float* weights, const float* values, int keys, int head_dim,
                          float* out, int stride) {
      V sum[kDims][kWide];
      for (int d = 0; d < kDims; ++d) {
        for (int w = 0; w < kWide; ++w) sum[d][w] = S::Load(out + d * stride + w * kLanes);
      }
      for (int k = 0; k < keys; ++k) {
        V weight[kWide];
        for (int w = 0; w < kWide; ++w) weight[w] = S::Load(weights + (k * kWide + w) * kLanes);
        for (int d = 0; d < kDims; ++d) {
          const V value = S::Set(values[static_cast<int64_t>(k) * head_dim + d]);
          for (int w = 0; w < kWide; ++w) sum[d][w] = S::Fma(value, weight[w], sum[d][w]);
        }
      }
      for (int d = 0; d < kDims; ++d) {
        for (int w = 0; w < kWide; ++w) S::Store(out + d * stride + w * kLanes, sum[d][w]);
      }
    }

    void Region(const KvRegion& region, int row, int stride, int head_dim, float* out) {
      float scores[kTile * kWide * kLanes];
      for (int first = 0; first < region.tokens; first += kTile) {
        const int left = region.tokens - first, keys = left < kTile ? left : kTile;
        V top[kWide];
        bool grown = false;
        for (int w = 0; w < kWide; ++w) top[w] = maximum[w];
        TileScores(region, row, stride, head_dim, first, keys, scores, top);
        for (int w = 0; w < kWide; ++w) grown = grown || S::AnyGreater(top[w], maximum[w]);
        if (grown) {  // e^0 is 1, so that a row whose maximum stays keeps its bits
          for (int w = 0; w < kWide; ++w) {
            const V shrink = Exp<S>(S::Sub(maximum[w], top[w]));
            maximum[w] = top[w];
            sum[w] = S::Mul(sum[w], shrink);
            for (int d = 0; d < head_dim; ++d) {
              float* at = out + d * stride + w * kLanes;
              S::Store(at, S::Mul(S::Load(at), shrink));
            }
          }
        }
        for (int k = 0; k < keys; ++k) {
          for (int w = 0; w < kWide; ++w) {
            float* at = scores + (k * kWide + w) * kLanes;
            const V weight = Exp<S>(S::Sub(S::Load(at), maximum[w]));
            S::Store(at, weight);
            sum[w] = S::Add(sum[w], weight);
          }
        }
        const float* values = region.values + static_cast<int64_t>(first) * head_dim;
        int d = 0;
        for (; d + kBlock <= head_dim; d += kBlock) {
          AddValues<kBlock>(scores, values + d, keys, head_dim, out + d * stride, stride);
        }
        for (; d < head_dim; ++d) {
          AddValues<1>(scores, values + d, keys, head_dim, out + d * stride, stride);
        }
      }
    }

    static void Run(const AttentionJob& job, int row, int stride) {
      Group group;
      float* out = job.out + row;
      for (int w = 0; w < kWide; ++w) {
        group.maximum[w] = S::Set(kLowest);
        group.sum[w] = S::Zero();
        for (int d = 0; d < job.head_dim; ++d) S::Store(out + d * stride + w * kLanes, S::Zero());
      }
      group.Region(job.far, row, stride, job.head_dim, out);
      group.Region(job.near, row, stride, job.head_dim, out);
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
  };

  template <int kCount>
  struct Count {
    static constexpr int value = kCount;
  };

  static constexpr float kLowest = -3.0e38F;

  // Not std::log: this file may not instantiate what others share.
  static float Log(float x) { return static_cast<float>(__builtin_log(static_cast<double>(x))); }

  static void Attend(const AttentionJob& job) {
    const int stride = PaddedRows(job.rows);
    int row = 0;
    for (; row + kLanes < job.rows; row += 2 * kLanes) {
      if (row + 2 * kLanes <= stride) {
        Group<2>::Run(job, row, stride);
      } else {
        Group<1>::Run(job, row, stride);
        Group<1>::Run(job, row + kLanes, stride);
      }
    }
    if (row < job.rows) Group<1>::Run(job, row, stride);
  }

  static void KeyMass(const KvRegion& region, int head_dim, int rows, const float* log_sum_exp,
                      float* mass) {
    const int stride = PaddedRows(rows);
    float scores[kTile * kLanes];
    for (int i = 0; i < region.tokens; ++i) mass[i] = 0;
    for (int row = 0; row < rows; row += kLanes) {
      const int used = rows - row < kLanes ? rows - row : kLanes;
      const V normaliser = S::Load(log_sum_exp + row);
      for (int first = 0; first < region.tokens; first += kTile) {
        const int left = region.tokens - first, keys = left < kTile ? left : kTile;
        V top[1] = {S::Set(kLowest)};
        Group<1>::TileScores(region, row, stride, head_dim, first, keys, scores, top);
        for (int k = 0; k < keys; ++k) {
          float weight[kLanes];
          S::Store(weight, Exp<S>(S::Sub(S::Load(scores + k * kLanes), normaliser)));
          for (int i = 0; i < used; ++i) mass[first + k] += weight[i];
        }
      }
    }
  }
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_ATTENTION_ATTENTION_TILES_H_
