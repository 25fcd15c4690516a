// Which old chunks does a frozen policy need? Includes torch.
#ifndef KVLA_POLICY_COUNTERFACTUAL_H_
#define KVLA_POLICY_COUNTERFACTUAL_H_

#include <vector>

#include "base/status.h"
#include "kv_efficient/torch.h"
#include "policy/demo_source.h"
#include "policy/gate_training.h"
#include "policy/vla_net.h"

namespace kvla {

// One demonstration as the gate meets it: chunks in the order in which they leave the window.
struct LabelledChunks {
  torch::Tensor features;     // [chunks, chunk tokens, gate features], see GateFeatures()
  torch::Tensor useful;       // [chunks], 1 where the loss needs the chunk enough
  std::vector<double> drops;  // [chunks], by how much
  // For the report only:
  int target = -1;            // the class the decision was about
  std::vector<bool> saw_cue;  // [chunks]
};

// The drop in the policy's own loss (action, waypoint, target, goal) over the first blocks of the
// decision that each chunk makes, at that of an episode's decisions where it makes the most: given
// back alone in front of the bare recent history (find: each), or beside the fewest others that
// suffice (find: few). 0 for chunks within that history. Later decision blocks do not count: the
// demonstrator's motion betrays the target there. An episode without a decision yields an empty
// list.
// `instruction`: the episode's, of InstructionReader. `encoded`: of EncodeEpisode().
std::vector<double> CounterfactualDrops(VlaNet& net, const torch::Tensor& instruction,
                                        const torch::Tensor& encoded, const DemoEpisode& episode,
                                        const GateTrainConfig& config);

// Runs the policy over the episode through the cache, keeping just the useful chunks, and records
// what a gate would read at each leaving chunk.
Result<LabelledChunks> LabelChunks(VlaNet& net, const torch::Tensor& instruction,
                                   const DemoEpisode& episode, const GateTrainConfig& config);

}  // namespace kvla

#endif  // KVLA_POLICY_COUNTERFACTUAL_H_
