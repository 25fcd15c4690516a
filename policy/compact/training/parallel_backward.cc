// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/parallel_backward.h"

#include "policy/compact/training/parallel_torch_jobs.h"

namespace kvla {

double ParallelBackward(const std::vector<torch::Tensor>& parameters, size_t parts, int threads,
                        const std::function<torch::Tensor(size_t)>& loss) {
  std::vector<double> losses(parts);
  std::vector<torch::autograd::variable_list> gradients(parts);
  RunParallelTorchJobs(parts, threads, [&](size_t part) {
    const torch::Tensor value = loss(part);
    gradients[part] = torch::autograd::grad({value}, parameters, {}, /*retain_graph=*/false,
                                            /*create_graph=*/false, /*allow_unused=*/true);
    losses[part] = value.item<double>();
  });
  double total = 0;
  for (const double value : losses) total += value;
  for (size_t i = 0; i < parameters.size(); ++i) {
    torch::Tensor sum;
    for (const torch::autograd::variable_list& part : gradients) {
      if (!part[i].defined()) continue;
      sum = sum.defined() ? sum + part[i] : part[i];
    }
    parameters[i].mutable_grad() = sum;
  }
  return total;
}

}  // namespace kvla
