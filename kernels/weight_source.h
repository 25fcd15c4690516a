// SPDX-License-Identifier: Apache-2.0
// Where what runs on the kernels takes its weights from. No torch.
#ifndef KVLA_KERNELS_WEIGHT_SOURCE_H_
#define KVLA_KERNELS_WEIGHT_SOURCE_H_

#include <functional>
#include <string>
#include <vector>

#include "kernels/packed_matrix.h"

namespace kvla {

// A parameter of a module by its name, row-major (tensors/module_weights.h). REQUIRES: there is one
// of that name.
using WeightSource = std::function<std::vector<float>(const std::string& name)>;

// NAME.weight [outputs, inputs] and, with `bias`, NAME.bias.
inline PackedMatrix TakeLinear(const WeightSource& weights, const std::string& name, int outputs,
                               int inputs, bool bias) {
  return {weights(name + ".weight"), bias ? weights(name + ".bias") : std::vector<float>(), outputs,
          inputs};
}

// `b`'s rows below `a`'s.
inline std::vector<float> Stacked(std::vector<float> a, const std::vector<float>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace kvla

#endif  // KVLA_KERNELS_WEIGHT_SOURCE_H_
