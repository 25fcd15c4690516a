// SPDX-License-Identifier: Apache-2.0
// Does what is seen at the decision betray what has to be remembered? Classifiers on the cameras'
// images and the proprioception there, and on all that the policy's window holds then, must not
// tell the remembered fact.
#ifndef KVLA_HARNESS_CERTIFY_DECISION_PROBE_H_
#define KVLA_HARNESS_CERTIFY_DECISION_PROBE_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "base/status.h"
#include "harness/certify/policy_geometry.h"
#include "tasks/task.h"

namespace kvla {

struct ProbeOptions {
  int train_episodes = 400;     // of the train split
  int held_out_episodes = 400;  // of the validation split
  uint64_t run_seed = 0;
  int image_size = 64;
  int threads = 1;  // changes nothing but the time
  PolicyGeometry geometry;
};

// Three classifiers; two of them, of the same make, are trained and tested on one observation an
// episode.
struct ProbeResult {
  int classes = 0;
  double chance = 0;  // share of the most frequent class: what guessing blindly gets
  int held_out = 0;   // episodes whose decision opened
  int right = 0;      // of them, told from the observation when the decision opened
  // Told from the frames in the window at the first inference from then on.
  int window_held_out = 0, window_right = 0;
  // The control: told from the observation in the middle of the first cue, where the fact may be in
  // sight. Says what this classifier can see at all.
  int cue_held_out = 0, cue_right = 0;
};

// The class is what the expert's label says then and there, or, where that never varies, the
// scenario's cued class. The expert acts undisturbed; nothing is drawn but those observations.
// `progress(done, total)` may be empty, is called by one thread at a time; returning false from it
// cancels. BadInput for a task without a decision.
Result<ProbeResult> RunProbe(const Task& task, const std::string& delay,
                             const ProbeOptions& options,
                             const std::function<bool(int, int)>& progress = {});

}  // namespace kvla

#endif  // KVLA_HARNESS_CERTIFY_DECISION_PROBE_H_
