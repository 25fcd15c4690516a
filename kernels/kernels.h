// SPDX-License-Identifier: Apache-2.0
// Dense kernels of an inference on a CPU: linear maps, convolutions, norms.
//
// All compute in f32 and give the same bits on every CPU with AVX2, at either vector width, and for
// a row whatever other rows are computed with it. (LibTorch's kernels do not: which ones run
// depends on the CPU and on the number of rows.) No allocation; any number of threads.
#ifndef KVLA_KERNELS_KERNELS_H_
#define KVLA_KERNELS_KERNELS_H_

#include <cstdint>
#include <span>

#include "kernels/packed_matrix.h"

namespace kvla {

// out[r, :] = bias + weight x_r, added to what stands there with `add`. A row is gathered from
// `segments` runs of `segment` floats, so that a convolution over a channels-last image is one too:
// row r begins at x + (r / grid) * grid_stride + (r % grid) * row_stride.
// REQUIRES: segments * segment == weight.inputs.
struct LinearJob {
  PackedView weight;
  const float* x;
  int rows;
  int64_t row_stride;
  float* out;
  int64_t out_stride;
  bool add = false;
  int segments = 1;
  int segment = weight.inputs;
  int64_t segment_stride = 0;
  int grid = rows;
  int64_t grid_stride = 0;
};

// Of rows that lie one after the other, in and out.
inline LinearJob DenseRows(const PackedMatrix& weight, const float* x, int rows, float* out) {
  return {.weight = weight.view(),
          .x = x,
          .rows = rows,
          .row_stride = weight.inputs(),
          .out = out,
          .out_stride = weight.outputs()};
}

// Rows of `width` floats, one after the other; in place is fine.
struct NormJob {
  const float* x;
  int rows;
  int width;
  const float* weight;  // [width]
  const float* bias;    // [width]; null under RMS
  float epsilon;
  float* out;
  bool silu = false;  // x * sigmoid(x) of what is normalised
};

// One set for each vector width.
struct Kernels {
  const char* name;  // "avx2", "avx512"
  void (*linear)(const LinearJob& job);
  void (*layer_norm)(const NormJob& job);
  void (*rms_norm)(const NormJob& job);
  void (*silu)(float* x, int64_t n);  // in place
  void (*gelu)(float* x, int64_t n);  // in place, the exact one (erf)
  // gate_up: rows of [gate, up], `width` floats each -> silu(gate) * up, rows of `width`.
  void (*silu_product)(const float* gate_up, int rows, int width, float* out);
};

// The widest that this CPU runs.
const Kernels& CpuKernels();
// All that this CPU runs, for tests that compare them.
std::span<const Kernels* const> AllKernels();

}  // namespace kvla

#endif  // KVLA_KERNELS_KERNELS_H_
