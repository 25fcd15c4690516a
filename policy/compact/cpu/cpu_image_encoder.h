// SPDX-License-Identifier: Apache-2.0
// net/image_encoder.h on the kernels of kernels/. No torch.
#ifndef KVLA_POLICY_COMPACT_CPU_CPU_IMAGE_ENCODER_H_
#define KVLA_POLICY_COMPACT_CPU_CPU_IMAGE_ENCODER_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/weight_source.h"

namespace kvla {

// Not thread-safe: it has buffers. Maps are channels-last.
class CpuImageEncoder {
 public:
  // `prefix`: of the parameters' names, "image_encoders.0".
  CpuImageEncoder(const WeightSource& weights, const std::string& prefix, int image_size,
                  int tokens, int hidden_size);

  // images: RGB8 [size, size, 3] each -> out [images, tokens, hidden_size], where the tokens of
  // image i begin at out + i * stride.
  void Encode(std::span<const std::span<const uint8_t>> images, float* out, int64_t stride);

 private:
  struct Norm {
    std::vector<float> weight, bias;
  };
  // One convolution, its norm and SiLU: [side, side, channels] out.
  struct Stage {
    PackedMatrix weight;
    Norm norm;
    int kernel, stride, padding;
    int in_side, in_channels;  // without padding
    int side, channels;
    std::vector<float> padded;  // the input [in_side + 2 padding, ..., in_channels], border zero
  };
  // `out` is the next stage's padded input, or where the map goes: rows of `row_stride` floats.
  void Run(Stage& stage, float* out, int64_t row_stride);

  int image_size_, tokens_, hidden_size_;
  std::vector<Stage> stages_;
  PackedMatrix to_tokens_;
  Norm token_norm_;
  std::vector<float> map_;       // of one stage, before it is padded
  std::vector<float> features_;  // [images, side * side * kMapChannels]
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_CPU_CPU_IMAGE_ENCODER_H_
