// SPDX-License-Identifier: Apache-2.0
// net/decoder.h on the kernels of kernels/, its attention handed in. No torch.
#ifndef KVLA_POLICY_COMPACT_CPU_CPU_DECODER_H_
#define KVLA_POLICY_COMPACT_CPU_CPU_DECODER_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/weight_source.h"
#include "policy/compact/policy_config.h"

namespace kvla {

// Un-rotated projections of one layer, a row a token: queries, keys and values of all heads one
// after the other.
struct QkvRows {
  const float* data;
  int64_t stride;
  int rows;
};

// Not thread-safe: it has buffers.
class CpuDecoder {
 public:
  // Fills out [rows, heads * head_dim] with what the queries attend to.
  using AttentionFn = std::function<void(int layer, const QkvRows& qkv, float* out)>;

  CpuDecoder(const WeightSource& weights, const PolicyConfig& config);

  // x [rows, hidden], in place: all layers and the final norm.
  void Run(float* x, int rows, const AttentionFn& attend);

 private:
  struct Layer {
    std::vector<float> input_norm, post_attention_norm;
    PackedMatrix qkv, output, gate_up, down;
  };
  void Norm(const float* x, int rows, const std::vector<float>& weight, float* out) const;

  int hidden_size_, intermediate_size_;
  std::vector<Layer> layers_;
  std::vector<float> norm_;
  std::vector<float> normed_, wide_, narrow_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_CPU_CPU_DECODER_H_
