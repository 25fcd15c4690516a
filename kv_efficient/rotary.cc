// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/rotary.h"

#include <cmath>

#include "tensors/torch.h"

namespace kvla {
namespace {

at::Tensor Rows(const std::vector<float>& table, int rows, const at::Tensor& positions) {
  const int64_t half = static_cast<int64_t>(table.size()) / rows;
  const at::Tensor all =
      torch::from_blob(const_cast<float*>(table.data()), {rows, half}, torch::kFloat32);
  std::vector<int64_t> shape = positions.sizes().vec();
  shape.push_back(half);
  const at::Tensor index = positions.reshape({-1}).to(torch::kCPU, torch::kInt64);
  return all.index_select(0, index).view(shape).to(positions.device());
}

}  // namespace

RotaryTable::RotaryTable(int head_dim, double theta, int positions, int step)
    : head_dim_(head_dim), positions_(positions) {
  const int half = head_dim / 2;
  cos_.reserve(static_cast<size_t>(positions) * half);
  sin_.reserve(cos_.capacity());
  for (int at = 0; at < positions; ++at) {
    const double p = static_cast<double>(at) * step;
    for (int i = 0; i < half; ++i) {
      const double angle = theta == 0 ? 0 : p * std::pow(theta, -2.0 * i / head_dim);
      cos_.push_back(static_cast<float>(std::cos(angle)));
      sin_.push_back(static_cast<float>(std::sin(angle)));
    }
  }
}

at::Tensor RotaryTable::Cos(const at::Tensor& positions) const {
  return Rows(cos_, positions_, positions);
}

at::Tensor RotaryTable::Sin(const at::Tensor& positions) const {
  return Rows(sin_, positions_, positions);
}

at::Tensor Rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const int64_t half = x.size(-1) / 2;
  const at::Tensor a = x.narrow(-1, 0, half), b = x.narrow(-1, half, half);
  return torch::cat({a * cos - b * sin, b * cos + a * sin}, -1);
}

at::Tensor Rotate(const at::Tensor& x, const RotaryTable& table, const at::Tensor& positions) {
  return Rotate(x, table.Cos(positions).to(x.device()), table.Sin(positions).to(x.device()));
}

at::Tensor RotateBack(const at::Tensor& x, const RotaryTable& table, const at::Tensor& positions) {
  return Rotate(x, table.Cos(positions).to(x.device()), -table.Sin(positions).to(x.device()));
}

at::Tensor TokenPositions(int first_block, int blocks, int tokens_per_block) {
  return torch::arange(first_block, first_block + blocks, torch::kInt64)
      .repeat_interleave(tokens_per_block);
}

void RotateRow(const float* from, float* to, const float* cos, const float* sin, int head_dim,
               float direction) {
  const int half = head_dim / 2;
  for (int i = 0; i < half; ++i) {
    const float a = from[i], b = from[i + half], s = direction * sin[i];
    to[i] = a * cos[i] - b * s;
    to[i + half] = b * cos[i] + a * s;
  }
}

}  // namespace kvla
