// SPDX-License-Identifier: Apache-2.0
// Which old chunks does a frozen policy need? Includes torch.
#ifndef KVLA_POLICY_COMPACT_GATE_COUNTERFACTUAL_H_
#define KVLA_POLICY_COMPACT_GATE_COUNTERFACTUAL_H_

#include <functional>
#include <set>
#include <vector>

#include "base/status.h"
#include "kv_efficient/plan.h"
#include "kv_efficient/schedule.h"
#include "policy/compact/gate/gate_training.h"
#include "policy/compact/net/vla_net.h"
#include "policy/compact/training/demo_source.h"
#include "policy/compact/training/sub_history.h"
#include "tensors/torch.h"

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

// Where something remembered is to be used: the blocks in which a decision opens, or goes on to its
// next target. Later ones do not count: the demonstrator's motion betrays the target there.
std::vector<int> DecisionBlocks(const DemoEpisode& episode, int replan_steps);

// The first blocks of a decision, whose loss counts, and what the window leaves in their sight.
struct DecisionScene {
  int first_seen = 0;      // block: the oldest that the first of them sees
  int begin = 0, end = 0;  // the blocks themselves, half-open
  int left = 0;            // chunks that have left by the last of them: those that a gate decides
};
DecisionScene SceneAt(int decision_block, int decision_blocks, const BlockSchedule& schedule);

// What the scene's blocks meet if of the chunks that left just `kept` were kept, each as `keep`
// says: those chunks, and the blocks from first_seen on. A chunk is computed in front of nothing
// but the kept ones before it, so that none can speak for another that was dropped.
SubHistory HistoryWith(const std::set<int>& kept, const DecisionScene& scene, int chunk_blocks,
                       ChunkAction keep);

// The mean loss over a scene's blocks for each set of kept chunks.
using KeptLosses = std::function<std::vector<double>(const std::vector<std::set<int>>& kept)>;
// For chunks 0 .. chunks - 1, what each takes off the loss of none when it is kept alone; 0 where
// it adds to it.
std::vector<double> GiveBackDrops(int chunks, const KeptLosses& losses);
// What the loss gains when one goes of the few that suffice (NeededChunks()); 0 for the others.
std::vector<double> TakeAwayDrops(int chunks, const KeptLosses& losses, double tolerance);

// The drop in the policy's own loss (action, waypoint, target, goal) that each chunk makes when it
// is kept as the deployed gate would keep it (config.keep), at that of an episode's decisions where
// it makes the most: alone in front of the bare window (find: each), or beside the fewest others
// that suffice (find: few). An episode without a decision that a chunk has left before yields an
// empty list.
// `instruction`: the episode's, of InstructionReader. `encoded`: of EncodeEpisode().
std::vector<double> CounterfactualDrops(VlaNet& net, const torch::Tensor& instruction,
                                        const torch::Tensor& encoded, const DemoEpisode& episode,
                                        const GateTrainConfig& config);

// The labels of an episode and what a gate reads at each leaving chunk. The cache is run as
// deployed: old chunks are kept as config.keep says, and those are the useful ones. A trained gate
// keeps some more; what it will keep depends on the features, and the labels' own set is the fixed
// point that is known beforehand.
Result<LabelledChunks> LabelChunks(VlaNet& net, const torch::Tensor& instruction,
                                   const DemoEpisode& episode, const GateTrainConfig& config);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_GATE_COUNTERFACTUAL_H_
