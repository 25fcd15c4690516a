// SPDX-License-Identifier: Apache-2.0
// Inputs of kernels.
#ifndef KVLA_TESTS_KERNELS_RANDOM_VALUES_H_
#define KVLA_TESTS_KERNELS_RANDOM_VALUES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/rng.h"

namespace kvla {

// Mean 0, standard deviation 1; the same for a seed.
inline std::vector<float> RandomValues(size_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> values(n);
  for (float& x : values) x = static_cast<float>(rng.Normal());
  return values;
}

}  // namespace kvla

#endif  // KVLA_TESTS_KERNELS_RANDOM_VALUES_H_
