// SPDX-License-Identifier: Apache-2.0
// Gradients of a batch whose parts are worked on side by side. Includes torch.
#ifndef KVLA_POLICY_COMPACT_TRAINING_PARALLEL_BACKWARD_H_
#define KVLA_POLICY_COMPACT_TRAINING_PARALLEL_BACKWARD_H_

#include <cstddef>
#include <functional>
#include <vector>

#include "tensors/torch.h"

namespace kvla {

// Sets the gradient of every parameter to that of loss(0) + ... + loss(parts - 1), and returns
// that sum; a parameter that no part needs gets none. `loss` is called from `threads` threads at
// once (RunParallelTorchJobs). What comes out does not depend on `threads`. Throws what `loss`
// throws.
double ParallelBackward(const std::vector<torch::Tensor>& parameters, size_t parts, int threads,
                        const std::function<torch::Tensor(size_t)>& loss);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_PARALLEL_BACKWARD_H_
