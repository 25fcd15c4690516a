// SPDX-License-Identifier: Apache-2.0
#include "kernels/kernels.h"

#include "kernels/cpu_features.h"
#include "kernels/dense_kernels.h"

namespace kvla {

extern const Kernels kAvx512Kernels;  // kernels_avx512.cc

namespace {

constexpr Kernels kAvx2Kernels = DenseKernels<Avx2>::Table("avx2");
const Kernels* const kAll[] = {&kAvx2Kernels, &kAvx512Kernels};

}  // namespace

std::span<const Kernels* const> AllKernels() {
  return std::span<const Kernels* const>(kAll).first(HasAvx512() ? 2 : 1);
}

const Kernels& CpuKernels() { return *AllKernels().back(); }

}  // namespace kvla
