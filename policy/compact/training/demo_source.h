// SPDX-License-Identifier: Apache-2.0
// Demonstrations as the trainers see them; the harness reads them from HDF5.
#ifndef KVLA_POLICY_COMPACT_TRAINING_DEMO_SOURCE_H_
#define KVLA_POLICY_COMPACT_TRAINING_DEMO_SOURCE_H_

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "policy/compact/training/packed_frames.h"
#include "policy/dimensions.h"

namespace kvla {

// One demonstration of `steps` control steps and `blocks` inferences (one each replan interval).
struct DemoEpisode {
  std::string where;  // file and group, for messages
  std::string task, delay, instruction;
  uint64_t episode = 0;
  int steps = 0, blocks = 0;
  std::vector<std::vector<uint8_t>> images;             // per camera: [blocks, height, width, 3]
  std::vector<PackedFrames> packed;                     // of PackImages(), in place of `images`
  std::vector<std::array<float, kProprioDim>> proprio;  // [blocks]
  std::vector<std::array<float, kTargetDim>> targets;   // [steps], position in world metres
  std::vector<std::array<float, 3>> waypoints;          // [steps], world metres
  std::vector<int> target_class;                        // [steps], -1 where there is none
  std::vector<uint8_t> decision;                        // [steps], 1 while the decision is open
  std::vector<std::array<float, 3>> target_places;  // [classes] or empty, world metres, NaN nowhere
  int choices = 0;      // of the classes the first: what the decision is between; 0 not known
  int use_begins = -1;  // control step from which what is remembered is asked for; -1 never
  // Inferences that saw the cue, half-open [begin, end): the cue labels. What reads them:
  // TrainStage::shows, history: by_cues and the loss of policy.cue_orders. A gate never sees them.
  std::vector<std::pair<int, int>> cue_blocks;
  // Those that saw a decoy, likewise; read where a sample is to show cues, and nowhere else.
  std::vector<std::pair<int, int>> decoy_blocks;
};

// Packs an episode's images (packed_frames.h) and lets go of them; does nothing the second time.
void PackImages(DemoEpisode* episode);

// The frames of one camera, packed or not. For one thread; `episode` must outlive it.
class EpisodeFrames {
 public:
  // REQUIRES: the episode has images, and camera < their number.
  EpisodeFrames(const DemoEpisode& episode, size_t camera);
  // The image of an inference, [height, width, 3], good until the next call.
  std::span<const uint8_t> At(int block);

 private:
  std::span<const uint8_t> raw_;  // empty where they are packed
  size_t frame_bytes_ = 0;
  FrameReader packed_;
};

struct PolicyConfig;

// Whether an episode has the images, the rhythm and the list lengths that a policy of these sizes
// reads; what is made of it (MakeBatch(), EncodeEpisode()) relies on that. BadInput says where,
// what was found and what is wanted.
Status CheckDemo(const DemoEpisode& episode, const PolicyConfig& config);

// REQUIRES of implementations: Read is deterministic; no concurrent calls.
class DemoSource {
 public:
  virtual ~DemoSource() = default;
  virtual int size() const = 0;
  virtual Result<DemoEpisode> Read(int index) = 0;
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_DEMO_SOURCE_H_
