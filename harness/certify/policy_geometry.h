// SPDX-License-Identifier: Apache-2.0
// What a policy sees and when, as certificates take it: the defaults are the suite's policy's.
#ifndef KVLA_HARNESS_CERTIFY_POLICY_GEOMETRY_H_
#define KVLA_HARNESS_CERTIFY_POLICY_GEOMETRY_H_

#include <cmath>

#include "kv_efficient/schedule.h"
#include "sim/specs.h"

namespace kvla {

struct PolicyGeometry {
  int replan_steps = 4;    // control steps from one inference to the next
  int chunk_blocks = 4;    // frame blocks that leave the window together
  int window_blocks = 16;  // newest ones, always there

  BlockSchedule schedule() const { return {window_blocks, chunk_blocks}; }
  // The first frame block whose image is taken at `seconds` or later.
  int BlockFrom(double seconds) const {
    return static_cast<int>(std::ceil(seconds / (replan_steps * kControlPeriod) - 1e-6));
  }
  // Most blocks that an inference sees beside what has left: its own, the window's, and those that
  // wait for their chunk to be whole.
  int MostNearBlocks() const { return window_blocks + chunk_blocks; }
};

}  // namespace kvla

#endif  // KVLA_HARNESS_CERTIFY_POLICY_GEOMETRY_H_
