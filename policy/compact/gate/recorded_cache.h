// SPDX-License-Identifier: Apache-2.0
// A demonstration run through the deployed cache, under decisions that are told it. Includes torch.
#ifndef KVLA_POLICY_COMPACT_GATE_RECORDED_CACHE_H_
#define KVLA_POLICY_COMPACT_GATE_RECORDED_CACHE_H_

#include <set>
#include <vector>

#include "base/status.h"
#include "policy/compact/gate/gate_training.h"
#include "policy/compact/gate/scene.h"
#include "policy/compact/net/vla_net.h"
#include "policy/compact/training/demo_source.h"
#include "tensors/torch.h"

namespace kvla {

// What a gate reads of each chunk that leaves (GateFeatures()), in order, while just the chunks of
// `kept` are kept, as config.keep and config.storage say. `encoded`: of EncodeEpisode().
Result<std::vector<torch::Tensor>> RecordFeatures(VlaNet& net, const torch::Tensor& instruction,
                                                  const torch::Tensor& encoded,
                                                  const std::set<int>& kept,
                                                  const GateTrainConfig& config);

// By how much the policy's action over the scene's blocks changes when one chunk is taken from a
// cache that holds all of them: for each chunk that has left before the scene, in order. In units
// of ActionLoss(), between what the policy does with and without it.
Result<std::vector<double>> ActionChanges(VlaNet& net, const torch::Tensor& instruction,
                                          const torch::Tensor& encoded, const DemoEpisode& episode,
                                          const Scene& scene, const GateTrainConfig& config);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_GATE_RECORDED_CACHE_H_
