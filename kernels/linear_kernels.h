// SPDX-License-Identifier: Apache-2.0
// Kernels::linear over vectors of one width; compiled once for each.
#ifndef KVLA_KERNELS_LINEAR_KERNELS_H_
#define KVLA_KERNELS_LINEAR_KERNELS_H_

#include <cstdint>

#include "kernels/kernels.h"
#include "kernels/vectors.h"

namespace kvla {

template <class S>
class LinearKernels {
 public:
  static void Linear(const LinearJob& job) {
    if (job.weight.half != nullptr) {
      LinearOf<uint16_t>(job);
    } else {
      LinearOf<float>(job);
    }
  }

 private:
  using V = typename S::V;
  static constexpr int kLanes = S::kLanes;
  static constexpr int kVectors = kPanel / kLanes;  // of a panel

  static const float* Row(const LinearJob& job, int row) {
    return job.x + row / job.grid * job.grid_stride + row % job.grid * job.row_stride;
  }
  static const uint16_t* Weights(const PackedView& w, uint16_t) { return w.half; }
  static const float* Weights(const PackedView& w, float) { return w.full; }
  // Of outputs, the last of which may be padding.
  static int Vectors(const PackedView& w) { return (w.outputs + kPanel - 1) / kPanel * kVectors; }

  // kRows rows by kWidth vectors of outputs, from vector `first` on. An output is one chain of
  // fused multiply-adds over the inputs in order, from its bias on.
  template <class W, int kRows, int kWidth>
  static void Tile(const LinearJob& job, int row, int first) {
    const float* x[kRows];
    const W* w[kWidth];
    V sum[kRows][kWidth];
    for (int v = 0; v < kWidth; ++v) {
      const int64_t panel = (first + v) / kVectors;
      w[v] = Weights(job.weight, W{}) + panel * job.weight.inputs * kPanel +
             (first + v) % kVectors * kLanes;
      const V bias = S::Load(job.weight.bias + (first + v) * kLanes);
      for (int r = 0; r < kRows; ++r) sum[r][v] = bias;
    }
    for (int r = 0; r < kRows; ++r) x[r] = Row(job, row + r);
    for (int s = 0; s < job.segments; ++s) {
      for (int k = 0; k < job.segment; ++k) {
        V weight[kWidth];
        for (int v = 0; v < kWidth; ++v) {
          weight[v] = S::Load(w[v] + static_cast<int64_t>(k) * kPanel);
        }
        for (int r = 0; r < kRows; ++r) {
          const V in = S::Set(x[r][k]);
          for (int v = 0; v < kWidth; ++v) sum[r][v] = S::Fma(in, weight[v], sum[r][v]);
        }
      }
      for (int r = 0; r < kRows; ++r) x[r] += job.segment_stride;
      for (int v = 0; v < kWidth; ++v) w[v] += static_cast<int64_t>(job.segment) * kPanel;
    }
    for (int r = 0; r < kRows; ++r) {
      float* out = job.out + (row + r) * job.out_stride;
      for (int v = 0; v < kWidth; ++v) StoreOutputs(job, (first + v) * kLanes, out, sum[r][v]);
    }
  }

  static void StoreOutputs(const LinearJob& job, int output, float* row, V sum) {
    const int left = job.weight.outputs - output;
    if (left >= kLanes) {
      S::Store(row + output, job.add ? S::Add(S::Load(row + output), sum) : sum);
      return;
    }
    float last[kLanes];
    S::Store(last, sum);
    for (int i = 0; i < left; ++i) row[output + i] = job.add ? row[output + i] + last[i] : last[i];
  }

  // All outputs of kRows rows, kWidth vectors at a time.
  template <class W, int kRows, int kWidth>
  static void Rows(const LinearJob& job, int row) {
    const int vectors = Vectors(job.weight);
    int v = 0;
    for (; v + kWidth <= vectors; v += kWidth) Tile<W, kRows, kWidth>(job, row, v);
    for (; v < vectors; ++v) Tile<W, kRows, 1>(job, row, v);
  }

  // Many rows: a panel stays in the cache while all of them pass.
  template <class W>
  static void LinearOf(const LinearJob& job) {
    constexpr int kTall = 8;
    const int vectors = Vectors(job.weight);
    const int tall = job.rows / kTall * kTall;
    for (int v = 0; v < vectors; v += kVectors) {
      for (int row = 0; row < tall; row += kTall) {
        for (int i = 0; i < kVectors; ++i) Tile<W, kTall, 1>(job, row, v + i);
      }
    }
    // As many sums at a time as hide a multiply-add's latency.
    switch (job.rows - tall) {
      case 7:
        return Rows<W, 7, 1>(job, tall);
      case 6:
        return Rows<W, 6, 2>(job, tall);
      case 5:
        return Rows<W, 5, 2>(job, tall);
      case 4:
        return Rows<W, 4, 2>(job, tall);
      case 3:
        return Rows<W, 3, 4>(job, tall);
      case 2:
        return Rows<W, 2, 4>(job, tall);
      case 1:
        return Rows<W, 1, 8>(job, tall);
      default:
        return;
    }
  }
};

}  // namespace kvla

#endif  // KVLA_KERNELS_LINEAR_KERNELS_H_
