// SPDX-License-Identifier: Apache-2.0
// Some vectors of queries over tiles of keys: scores, online softmax, and what the values add.
#ifndef KVLA_KV_EFFICIENT_ATTENTION_QUERY_GROUP_H_
#define KVLA_KV_EFFICIENT_ATTENTION_QUERY_GROUP_H_

#include <cstdint>

#include "kernels/vectors.h"
#include "kv_efficient/attention/ragged_attention.h"

namespace kvla {

// kWide vectors of queries; as many sums at a time as hide a multiply-add's latency.
template <class S, int kWide>
struct QueryGroup {
  using V = typename S::V;
  static constexpr int kLanes = S::kLanes;
  template <int kCount>
  struct Count {
    static constexpr int kValue = kCount;
  };
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

  // Keys and values of up to kTileKeys tokens as plain rows, and their biases or null.
  static void TileScores(const float* queries, int stride, const float* keys, const float* bias,
                         int count, int head_dim, float* scores, V* top) {
    int k = 0;
    const auto at = [&](auto size) {
      constexpr int kKeys = decltype(size)::kValue;
      for (; k + kKeys <= count; k += kKeys) {
        Scores<kKeys>(queries, stride, keys + static_cast<int64_t>(k) * head_dim, head_dim,
                      bias != nullptr ? bias + k : nullptr, scores + k * kWide * kLanes, top);
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

  void Tile(const float* queries, int stride, const float* keys, const float* values,
            const float* bias, int count, int head_dim, float* out) {
    float scores[kTileKeys * kWide * kLanes];
    V top[kWide];
    bool grown = false;
    for (int w = 0; w < kWide; ++w) top[w] = maximum[w];
    TileScores(queries, stride, keys, bias, count, head_dim, scores, top);
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
    for (int k = 0; k < count; ++k) {
      for (int w = 0; w < kWide; ++w) {
        float* at = scores + (k * kWide + w) * kLanes;
        const V weight = Exp<S>(S::Sub(S::Load(at), maximum[w]));
        S::Store(at, weight);
        sum[w] = S::Add(sum[w], weight);
      }
    }
    int d = 0;
    for (; d + kBlock <= head_dim; d += kBlock) {
      AddValues<kBlock>(scores, values + d, count, head_dim, out + d * stride, stride);
    }
    for (; d < head_dim; ++d) {
      AddValues<1>(scores, values + d, count, head_dim, out + d * stride, stride);
    }
  }
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_ATTENTION_QUERY_GROUP_H_
