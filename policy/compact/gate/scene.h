// SPDX-License-Identifier: Apache-2.0
// Where a policy needs its history: the blocks whose loss says what an old chunk is worth. torch.
#ifndef KVLA_POLICY_COMPACT_GATE_SCENE_H_
#define KVLA_POLICY_COMPACT_GATE_SCENE_H_

#include <set>
#include <vector>

#include "kv_efficient/kv_format.h"
#include "kv_efficient/plan.h"
#include "kv_efficient/schedule.h"
#include "policy/compact/gate/gate_training.h"
#include "policy/compact/net/vla_net.h"
#include "policy/compact/training/demo_source.h"
#include "policy/compact/training/sub_history.h"
#include "tensors/torch.h"

namespace kvla {

// A few blocks one after the other, and what the window leaves in their sight.
struct Scene {
  int first_seen = 0;      // block: the oldest that the first of them sees
  int begin = 0, end = 0;  // the blocks themselves, half-open
  int left = 0;            // chunks that have left by the last of them: those that a gate decides
};
Scene SceneAt(int block, int blocks, const BlockSchedule& schedule);

// What the scene's blocks meet if of the chunks that left just `kept` were kept, each as `keep`
// says: those chunks, and the blocks from first_seen on. A chunk is computed in front of nothing
// but the kept ones before it, so that none can speak for another that was dropped.
SubHistory HistoryWith(const std::set<int>& kept, const Scene& scene, int chunk_blocks,
                       ChunkAction keep);

// Where a demonstration says that something remembered is to be used: the blocks in which a
// decision opens, or goes on to its next target. Later ones do not count: the demonstrator's motion
// betrays the target there. For `teacher: everything` alone.
std::vector<int> DecisionBlocks(const DemoEpisode& episode, int replan_steps);

// The teacher's losses of one demonstration under histories of all kinds. Under `teacher: actions`
// these are motion and gripper, what the policy acts by, and nothing else of the demonstration is
// read; under `everything` waypoint, target and goal come on top.
class SceneLosses {
 public:
  // All of it must outlive this. `instruction`: of InstructionReader; `encoded`: of
  // EncodeEpisode().
  SceneLosses(VlaNet& net, const torch::Tensor& instruction, const torch::Tensor& encoded,
              const DemoEpisode& episode, const GateTrainConfig& config);

  // Of every block with all that came before it, whole and in f32.
  std::vector<double> WithWholeHistory() const;
  // Of each history, the mean over its last `blocks` blocks, keys and values held in `format`.
  std::vector<double> OfEnds(std::vector<SubHistory> histories, int blocks, KvFormat format) const;

 private:
  torch::Tensor Of(std::vector<SubHistory> histories, KvFormat format) const;

  VlaNet& net_;
  const torch::Tensor& instruction_;
  const torch::Tensor& encoded_;
  const DemoEpisode& episode_;
  bool everything_;
};

// Where the history is needed, found by taking it away: of the scenes that tile the episode
// (config.scene_blocks each) those whose loss with the window alone is config.history_gain or more
// above that with the whole history, at most config.scenes of them, those where it buys most; in
// order.
std::vector<Scene> NeedyScenes(const SceneLosses& losses, int blocks, const PolicyConfig& sizes,
                               const GateTrainConfig& config);

// Those of config.teacher, of an episode.
std::vector<Scene> ScenesOf(const SceneLosses& losses, const DemoEpisode& episode,
                            const PolicyConfig& sizes, const GateTrainConfig& config);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_GATE_SCENE_H_
