// SPDX-License-Identifier: Apache-2.0
// Intermediate results of a backbone, for those who hold them against another implementation.
#ifndef KVLA_POLICY_BACKBONES_STAGES_H_
#define KVLA_POLICY_BACKBONES_STAGES_H_

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

namespace kvla {

// Called with each stage as it is reached; may be empty.
using StageFn = std::function<void(const std::string& name, const at::Tensor& value)>;

inline void Tell(const StageFn& stage, const std::string& name, const at::Tensor& value) {
  if (stage) stage(name, value);
}

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_STAGES_H_
