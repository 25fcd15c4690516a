// SPDX-License-Identifier: Apache-2.0
// Which old chunks does a frozen policy need? Includes torch.
#ifndef KVLA_POLICY_COMPACT_GATE_COUNTERFACTUAL_H_
#define KVLA_POLICY_COMPACT_GATE_COUNTERFACTUAL_H_

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "policy/compact/gate/gate_training.h"
#include "policy/compact/gate/scene.h"
#include "policy/compact/net/vla_net.h"
#include "policy/compact/training/demo_source.h"
#include "tensors/torch.h"

namespace kvla {

// One demonstration as the gate meets it: chunks in the order in which they leave the window.
struct LabelledChunks {
  torch::Tensor features;     // [chunks, chunk tokens, gate features], see GateFeatures()
  torch::Tensor useful;       // [chunks], 1 where the loss needs the chunk enough
  torch::Tensor counts;       // [chunks], 0 where keeping it is neither right nor wrong
  std::vector<double> drops;  // [chunks], by how much
  int scenes = 0;             // in which the loss needs its history
  // For the report only:
  std::string task;
  int target = -1;             // the class the decision was about
  int onset_block = -1;        // the first that saw a cue
  std::vector<bool> saw_cue;   // [chunks]
  std::vector<double> change;  // of the first chunks, see ActionChanges(); empty: not asked for
};

// The mean loss over a scene's blocks for each set of kept chunks.
using KeptLosses = std::function<std::vector<double>(const std::vector<std::set<int>>& kept)>;
// For chunks 0 .. chunks - 1, what each takes off the loss of none when it is kept alone; 0 where
// it adds to it.
std::vector<double> GiveBackDrops(int chunks, const KeptLosses& losses);
// What the loss gains when one goes of the few that suffice (NeededChunks()); 0 for the others.
std::vector<double> TakeAwayDrops(int chunks, const KeptLosses& losses, double tolerance);
// Of pairs of neighbours: chunks that the few do without (a drop of 0), and with which in place of
// the chunk beside them they would suffice as well.
std::set<int> StandIns(const std::vector<double>& drops, const KeptLosses& losses,
                       double tolerance);

struct ChunkWorth {
  std::vector<double> drops;  // of every complete chunk; empty where no scene needs its history
  std::set<int> stand_ins;    // under find: pairs
  int scenes = 0;
  std::optional<Scene> needy;  // the one of the largest drops
};

// The drop in the teacher's loss that each chunk makes when it is kept as the deployed gate would
// keep it (config.keep, config.storage), in that of an episode's scenes where it makes the most:
// alone in front of the bare window (find: each), or beside the fewest others that suffice (find:
// few, pairs). `instruction`: the episode's, of InstructionReader. `encoded`: of EncodeEpisode().
ChunkWorth CounterfactualDrops(VlaNet& net, const torch::Tensor& instruction,
                               const torch::Tensor& encoded, const DemoEpisode& episode,
                               const GateTrainConfig& config);

// The labels of an episode and what a gate reads at each leaving chunk. The cache is run as
// deployed: old chunks are kept as config.keep and config.storage say, and those are the useful
// ones. A trained gate keeps some more; what it will keep depends on the features, and the labels'
// own set is the fixed point that is known beforehand. `with_change`: also LabelledChunks::change.
Result<LabelledChunks> LabelChunks(VlaNet& net, const torch::Tensor& instruction,
                                   const DemoEpisode& episode, const GateTrainConfig& config,
                                   bool with_change = false);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_GATE_COUNTERFACTUAL_H_
