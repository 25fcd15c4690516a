// SPDX-License-Identifier: Apache-2.0
// The weights of a linear map, laid out once as the kernels read them.
#ifndef KVLA_KERNELS_PACKED_MATRIX_H_
#define KVLA_KERNELS_PACKED_MATRIX_H_

#include <cstdint>
#include <span>
#include <vector>

namespace kvla {

// Outputs that lie side by side in a packed matrix: [panel][input][kPanel].
inline constexpr int kPanel = 16;

// A packed matrix as the kernels see it; one of `half` and `full` is null.
struct PackedView {
  const uint16_t* half;  // IEEE half precision
  const float* full;
  const float* bias;  // [panels * kPanel]
  int outputs, inputs;
};

// Immutable once made, so any number of threads may read it.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  // weight: [outputs, inputs], row-major; bias: [outputs] or empty. Weights that are all exact in
  // half precision (as checkpoints keep them) are held in it: half the memory to read, the same
  // bits.
  PackedMatrix(std::span<const float> weight, std::span<const float> bias, int outputs, int inputs);

  int outputs() const { return outputs_; }
  int inputs() const { return inputs_; }
  bool half() const { return !half_.empty(); }
  PackedView view() const;
  int64_t bytes() const;

 private:
  int outputs_ = 0, inputs_ = 0;
  std::vector<uint16_t> half_;
  std::vector<float> float_;
  std::vector<float> bias_;
};

}  // namespace kvla

#endif  // KVLA_KERNELS_PACKED_MATRIX_H_
