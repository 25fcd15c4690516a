// SPDX-License-Identifier: Apache-2.0
// Rotary positions, Hugging Face's half-split convention (rotate_half). torch.
#ifndef KVLA_KV_EFFICIENT_ROTARY_H_
#define KVLA_KV_EFFICIENT_ROTARY_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace kvla {

// cos and sin of step * position * theta^(-2i / head_dim), computed in double and rounded once.
// Immutable, so any number of threads may read it.
class RotaryTable {
 public:
  // Positions 0 .. positions - 1; theta 0: nothing is turned. REQUIRES: head_dim even.
  RotaryTable(int head_dim, double theta, int positions, int step = 1);

  int head_dim() const { return head_dim_; }
  int positions() const { return positions_; }
  const float* cos(int position) const { return cos_.data() + position * (head_dim_ / 2); }
  const float* sin(int position) const { return sin_.data() + position * (head_dim_ / 2); }
  // [n, head_dim / 2] f32, rows of the table at `positions` (int64 [n], any device, any shape: the
  // result then has that shape with head_dim / 2 appended).
  at::Tensor Cos(const at::Tensor& positions) const;
  at::Tensor Sin(const at::Tensor& positions) const;

 private:
  int head_dim_;
  int positions_;
  std::vector<float> cos_, sin_;  // [positions, head_dim / 2]
};

// x [..., n, head_dim]; cos, sin broadcast against [..., n, head_dim / 2]. Differentiable.
// Negated sin turns back.
at::Tensor Rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin);

// The same by the table's rows at `positions` (int64, one for each row of x or one for all), on x's
// device.
at::Tensor Rotate(const at::Tensor& x, const RotaryTable& table, const at::Tensor& positions);
at::Tensor RotateBack(const at::Tensor& x, const RotaryTable& table, const at::Tensor& positions);
// The positions of the tokens of `blocks` blocks, `tokens_per_block` each.
at::Tensor TokenPositions(int first_block, int blocks, int tokens_per_block);

// One row of head_dim floats; `direction` -1 turns back. `to` may be `from`.
void RotateRow(const float* from, float* to, const float* cos, const float* sin, int head_dim,
               float direction);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_ROTARY_H_
