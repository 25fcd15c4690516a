// SPDX-License-Identifier: Apache-2.0
// What a training run needs to go on after a stop. Includes torch.
#ifndef KVLA_POLICY_COMPACT_TRAINING_TRAIN_STATE_H_
#define KVLA_POLICY_COMPACT_TRAINING_TRAIN_STATE_H_

#include <filesystem>
#include <vector>

#include "base/status.h"
#include "policy/compact/net/vla_net.h"
#include "tensors/torch.h"

namespace kvla {

// Within the folder of a checkpoint.
inline constexpr char kStateFolder[] = "state";

// Exponential moving average of a module's parameters.
class WeightAverage {
 public:
  WeightAverage(VlaNet& net, double decay);
  void Update(VlaNet& net);
  // Exchanges the net's parameters with the average; call twice to undo.
  void Swap(VlaNet& net);
  std::vector<torch::Tensor>& tensors() { return average_; }

 private:
  double decay_;
  std::vector<torch::Tensor> average_;
};

// Written to a temporary folder and renamed: a kill leaves the previous state.
Status SaveTrainState(const std::filesystem::path& folder, int step, VlaNet& net,
                      WeightAverage& average, torch::optim::Optimizer& optimizer);
bool HasTrainState(const std::filesystem::path& folder);
// The step to go on with; 0 where there is no state. BadInput: it is damaged, or of another policy.
Result<int> LoadTrainState(const std::filesystem::path& folder, VlaNet& net, WeightAverage& average,
                           torch::optim::Optimizer& optimizer);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_TRAIN_STATE_H_
