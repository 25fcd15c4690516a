// SPDX-License-Identifier: Apache-2.0
// The kernels of kernels.h over vectors of one width; compiled once for each.
#ifndef KVLA_KERNELS_DENSE_KERNELS_H_
#define KVLA_KERNELS_DENSE_KERNELS_H_

#include <cstdint>

#include "kernels/kernels.h"
#include "kernels/linear_kernels.h"
#include "kernels/vectors.h"

namespace kvla {

template <class S>
class DenseKernels {
 public:
  static constexpr Kernels Table(const char* name) {
    return {name,       LinearKernels<S>::Linear, LayerNorm,
            RmsNorm,    InPlace<&Silu<S>>,        InPlace<&Gelu<S>>,
            SiluProduct};
  }

 private:
  using V = typename S::V;
  static constexpr int kLanes = S::kLanes;

  // Sum of f(x_i): sixteen partial sums, then a fixed tree, whatever the vector width.
  template <class F, class G>
  static float SumOf(const float* x, int width, F f, G scalar) {
    constexpr int kPartial = 16, kParts = kPartial / kLanes;
    V part[kParts];
    for (V& p : part) p = S::Zero();
    int i = 0;
    for (; i + kPartial <= width; i += kPartial) {
      for (int p = 0; p < kParts; ++p) part[p] = S::Add(part[p], f(S::Load(x + i + p * kLanes)));
    }
    float sums[kPartial];
    for (int p = 0; p < kParts; ++p) S::Store(sums + p * kLanes, part[p]);
    for (int rest = 0; i + rest < width; ++rest) sums[rest] += scalar(x[i + rest]);
    for (int n = kPartial / 2; n > 0; n /= 2) {
      for (int j = 0; j < n; ++j) sums[j] += sums[j + n];
    }
    return sums[0];
  }

  template <bool kSilu>
  static void Scale(const NormJob& job, const float* x, float mean, float scale, float* out) {
    const auto normalised = [&](V value, V weight, V bias) {
      const V y = S::Fma(S::Mul(S::Sub(value, S::Set(mean)), S::Set(scale)), weight, bias);
      return kSilu ? Silu<S>(y) : y;
    };
    int i = 0;
    for (; i + kLanes <= job.width; i += kLanes) {
      const V bias = job.bias != nullptr ? S::Load(job.bias + i) : S::Zero();
      S::Store(out + i, normalised(S::Load(x + i), S::Load(job.weight + i), bias));
    }
    if (i == job.width) return;
    float value[kLanes] = {}, weight[kLanes] = {}, bias[kLanes] = {};
    const int rest = job.width - i;
    for (int j = 0; j < rest; ++j) {
      value[j] = x[i + j];
      weight[j] = job.weight[i + j];
      bias[j] = job.bias != nullptr ? job.bias[i + j] : 0.0F;
    }
    S::Store(value, normalised(S::Load(value), S::Load(weight), S::Load(bias)));
    for (int j = 0; j < rest; ++j) out[i + j] = value[j];
  }

  static void ScaleRow(const NormJob& job, const float* x, float mean, float scale, float* out) {
    if (job.silu) {
      Scale<true>(job, x, mean, scale, out);
    } else {
      Scale<false>(job, x, mean, scale, out);
    }
  }

  static float Root(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }

  static void LayerNorm(const NormJob& job) {
    const auto width = static_cast<float>(job.width);
    for (int r = 0; r < job.rows; ++r) {
      const float* x = job.x + static_cast<int64_t>(r) * job.width;
      const float mean = SumOf(
                             x, job.width, [](V v) { return v; }, [](float v) { return v; }) /
                         width;
      const float variance = SumOf(
                                 x, job.width,
                                 [mean](V v) {
                                   const V d = S::Sub(v, S::Set(mean));
                                   return S::Mul(d, d);
                                 },
                                 [mean](float v) { return (v - mean) * (v - mean); }) /
                             width;
      ScaleRow(job, x, mean, 1.0F / Root(variance + job.epsilon),
               job.out + static_cast<int64_t>(r) * job.width);
    }
  }

  static void RmsNorm(const NormJob& job) {
    for (int r = 0; r < job.rows; ++r) {
      const float* x = job.x + static_cast<int64_t>(r) * job.width;
      const float square =
          SumOf(
              x, job.width, [](V v) { return S::Mul(v, v); }, [](float v) { return v * v; }) /
          static_cast<float>(job.width);
      ScaleRow(job, x, 0, 1.0F / Root(square + job.epsilon),
               job.out + static_cast<int64_t>(r) * job.width);
    }
  }

  template <V (*kFunction)(V)>
  static void InPlace(float* x, int64_t n) {
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) S::Store(x + i, kFunction(S::Load(x + i)));
    if (i == n) return;
    float last[kLanes] = {};
    for (int64_t j = i; j < n; ++j) last[j - i] = x[j];
    S::Store(last, kFunction(S::Load(last)));
    for (int64_t j = i; j < n; ++j) x[j] = last[j - i];
  }

  static void SiluProduct(const float* gate_up, int rows, int width, float* out) {
    for (int r = 0; r < rows; ++r) {
      const float* gate = gate_up + static_cast<int64_t>(r) * 2 * width;
      const float* up = gate + width;
      float* to = out + static_cast<int64_t>(r) * width;
      int i = 0;
      for (; i + kLanes <= width; i += kLanes) {
        S::Store(to + i, S::Mul(Silu<S>(S::Load(gate + i)), S::Load(up + i)));
      }
      if (i == width) continue;
      float last[kLanes] = {};
      for (int j = i; j < width; ++j) last[j - i] = gate[j];
      S::Store(last, Silu<S>(S::Load(last)));
      for (int j = i; j < width; ++j) to[j] = last[j - i] * up[j];
    }
  }
};

}  // namespace kvla

#endif  // KVLA_KERNELS_DENSE_KERNELS_H_
