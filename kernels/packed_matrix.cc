// SPDX-License-Identifier: Apache-2.0
#include "kernels/packed_matrix.h"

#include <immintrin.h>

#include <algorithm>
#include <bit>

namespace kvla {
namespace {

uint16_t ToHalf(float x) { return static_cast<uint16_t>(_cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT)); }

bool ExactInHalf(float x) {
  return std::bit_cast<uint32_t>(_cvtsh_ss(ToHalf(x))) == std::bit_cast<uint32_t>(x);
}

template <class To, class Convert>
std::vector<To> Pack(std::span<const float> weight, int outputs, int inputs, Convert convert) {
  const int64_t panels = (outputs + kPanel - 1) / kPanel;
  std::vector<To> packed(panels * inputs * kPanel, To{});
  for (int64_t o = 0; o < outputs; ++o) {
    To* to = packed.data() + o / kPanel * inputs * kPanel + o % kPanel;
    for (int64_t i = 0; i < inputs; ++i) to[i * kPanel] = convert(weight[o * inputs + i]);
  }
  return packed;
}

}  // namespace

PackedMatrix::PackedMatrix(std::span<const float> weight, std::span<const float> bias, int outputs,
                           int inputs)
    : outputs_(outputs), inputs_(inputs) {
  if (std::all_of(weight.begin(), weight.end(), ExactInHalf)) {
    half_ = Pack<uint16_t>(weight, outputs, inputs, ToHalf);
  } else {
    float_ = Pack<float>(weight, outputs, inputs, [](float x) { return x; });
  }
  bias_.assign(static_cast<size_t>((outputs + kPanel - 1) / kPanel) * kPanel, 0);
  std::copy(bias.begin(), bias.end(), bias_.begin());
}

PackedView PackedMatrix::view() const {
  return {half() ? half_.data() : nullptr, half() ? nullptr : float_.data(), bias_.data(), outputs_,
          inputs_};
}

int64_t PackedMatrix::bytes() const {
  return static_cast<int64_t>(half_.size() * sizeof(uint16_t) +
                              (float_.size() + bias_.size()) * sizeof(float));
}

}  // namespace kvla
