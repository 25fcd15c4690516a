// SPDX-License-Identifier: Apache-2.0
// HDF5 shards of demonstrations, in robomimic's layout.
//
//   data                      attributes: total, env_args, num_demos, failed, diverged, first,
//                             count, suite (TaskOptions as YAML), disturbance, settings,
//                             settings_hash, complete
//   data/demo_K               attributes: num_samples, num_inferences, model_file, instruction,
//                             task, delay, split, seed, episode, target, cue_begin_s, cue_end_s,
//                             decoy_begin_s, decoy_end_s, onset_s, wait_s, decision_s (-1: none),
//                             image_stride, cues, decoys, layout (TaskOptions), disturbance
//     actions        [n, 7]   the expert's action in the state at hand (the label)
//     executed       [n, 7]   the action that was done: with the disturbance
//     targets        [n, 7]   pose the label asks for (policy/compact/training/demo_source.h)
//     states         [n, S]   World::SaveState() before the action
//     rewards, dones [n]
//     obs/<camera>_image [m, h, w, 3]   one every image_stride control steps
//     obs/ee_pos [n, 3]  obs/ee_quat [n, 4] (w x y z)  obs/gripper_width [n]  obs/joint_pos [n, 7]
//     labels/waypoint [n, 3]  labels/target_class [n]  labels/decision [n]
#ifndef KVLA_HARNESS_DEMOS_DEMO_SHARD_H_
#define KVLA_HARNESS_DEMOS_DEMO_SHARD_H_

#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"
#include "harness/demos/demo_config.h"
#include "harness/demos/hdf5_file.h"

namespace kvla {

// The settings that decide what a shard holds, apart from its episodes: as YAML, for its
// attributes.
std::string ShardSettings(const DemosConfig& config);

// Whether the shard is there, whole, and holds at least its episodes. BadInput when the file there
// was made with other settings, is no shard or not what it says of itself (demo_layout.h).
Result<bool> ShardComplete(const DemosConfig& config, const DemoShard& shard);

// BadInput when an episode of a planned shard lies in another file of its folder: made with other
// episodes_per_shard, say. It would be recorded, and trained on, twice.
Status CheckOverlaps(const std::vector<DemoShard>& planned);

// Whether a demonstration goes into its shard: it succeeded, or failed with a policy at the wheel
// whose mistakes are wanted.
bool IsKept(const DemoRecording& recording, const DemosConfig& config);

// Writes one shard; nothing is seen under its name before Finish().
class ShardWriter {
 public:
  static Result<ShardWriter> Create(const DemosConfig& config, const DemoShard& shard,
                                    const std::filesystem::path& asset_root);
  // A recording that is not IsKept() is counted and left out.
  Status Add(const DemoRecording& recording);
  Status Finish();
  // Bytes of the unfinished file so far.
  Result<int64_t> Bytes();
  // Removes the unfinished file.
  void Abandon();

 private:
  ShardWriter(Hdf5Node file, Hdf5Node data) : file_(std::move(file)), data_(std::move(data)) {}

  Hdf5Node file_;
  Hdf5Node data_;
  DemosConfig config_;
  DemoShard shard_;
  std::filesystem::path asset_root_, temporary_;
  int demos_ = 0, failed_ = 0, diverged_ = 0;
  int64_t samples_ = 0;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_DEMOS_DEMO_SHARD_H_
