// SPDX-License-Identifier: Apache-2.0
// Compiled for AVX-512 (CMakeLists.txt). Only templates over Avx512 are instantiated here: an
// inline function of anyone else's might be the copy that the linker keeps for all.
#include "kernels/dense_kernels.h"

namespace kvla {

extern const Kernels kAvx512Kernels;
const Kernels kAvx512Kernels = DenseKernels<Avx512>::Table("avx512");

}  // namespace kvla
