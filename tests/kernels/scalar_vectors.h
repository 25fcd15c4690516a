// SPDX-License-Identifier: Apache-2.0
// Vectors of one lane, in plain C++, that count: what the kernels compute and how much work it is.
#ifndef KVLA_TESTS_KERNELS_SCALAR_VECTORS_H_
#define KVLA_TESTS_KERNELS_SCALAR_VECTORS_H_

#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace kvla {

struct ScalarVectors {
  using V = float;
  static constexpr int kLanes = 1;
  static double& Flops() {  // of this thread, 2 a fused multiply-add
    static thread_local double flops = 0;
    return flops;
  }

  static V Zero() { return 0; }
  static V Set(float x) { return x; }
  static V Load(const float* p) { return *p; }
  static V Load(const uint16_t* p) { return _cvtsh_ss(*p); }
  static V LoadBf16(const uint8_t* p) {
    return std::bit_cast<float>(static_cast<uint32_t>(p[0]) << 16 | static_cast<uint32_t>(p[1])
                                                                        << 24);
  }
  static V LoadBytes(const uint8_t* p) { return *p; }
  static V LoadNibbles(const uint8_t* p) { return static_cast<float>(*p & 15); }  // not called
  static void Store(float* p, V x) { *p = x; }
  static V Add(V a, V b) { return a + b; }
  static V Sub(V a, V b) { return a - b; }
  static V Mul(V a, V b) { return a * b; }
  static V Div(V a, V b) { return a / b; }
  static V Fma(V a, V b, V c) {
    Flops() += 2;
    return std::fma(a, b, c);
  }
  // As the instructions do: where one is no number, the second.
  static V Max(V a, V b) { return a > b ? a : b; }
  static V Min(V a, V b) { return a < b ? a : b; }
  static V Round(V a) { return std::nearbyint(a); }
  static V Power2(V n) {
    return std::bit_cast<float>(static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23);
  }
  static bool AnyGreater(V a, V b) { return a > b; }
};

}  // namespace kvla

#endif  // KVLA_TESTS_KERNELS_SCALAR_VECTORS_H_
