// SPDX-License-Identifier: Apache-2.0
// What this CPU can run beyond AVX2, which the whole program needs.
#ifndef KVLA_KERNELS_CPU_FEATURES_H_
#define KVLA_KERNELS_CPU_FEATURES_H_

namespace kvla {

inline bool HasAvx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

}  // namespace kvla

#endif  // KVLA_KERNELS_CPU_FEATURES_H_
