// SPDX-License-Identifier: Apache-2.0
// A small classifier of what a policy sees at once, an observation or a window of them: does it
// betray what only the past before it can tell?
#ifndef KVLA_POLICY_PROBE_NET_H_
#define KVLA_POLICY_PROBE_NET_H_

#include <array>
#include <cstdint>
#include <vector>

#include "base/status.h"
#include "policy/dimensions.h"

namespace kvla {

// One or more frames in their order as the policy gets them, and the class that they should not
// betray.
struct ProbeSample {
  std::vector<std::vector<uint8_t>> images;             // per camera RGB8 [frames, size, size, 3]
  std::vector<std::array<float, kProprioDim>> proprio;  // per frame
  int label = 0;                                        // 0 or more
};

struct ProbeTraining {
  int image_size = 64;  // a multiple of 8
  int epochs = 30;      // of the images' network; the proprioception's gets ten times as many
  int batch = 32;
  double learning_rate = 1e-3;
  uint64_t seed = 0;
  int threads = 1;
};

// Trains on `train` and returns its guess for each of `held_out`: the product of two networks'
// odds, one that sees the images and one that feels the arm. A quarter of `train` says when each of
// them knew most, so that one that finds nothing stays undecided and leaves the guess to the other.
// Of several frames each is looked at alone and by the same features; the guess goes by their mean
// and their largest values, so that one frame is enough to betray the class. Deterministic.
// REQUIRES: `train` has 8 or more, `held_out` is not empty, all samples have the same cameras and
// equally many frames.
Result<std::vector<int>> TrainProbe(const std::vector<ProbeSample>& train,
                                    const std::vector<ProbeSample>& held_out,
                                    const ProbeTraining& options);

}  // namespace kvla

#endif  // KVLA_POLICY_PROBE_NET_H_
