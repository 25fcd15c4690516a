// SPDX-License-Identifier: Apache-2.0
// What the control of the arm and the checks cost on top of MuJoCo itself.
#ifndef KVLA_HARNESS_BENCH_PHYSICS_BENCH_H_
#define KVLA_HARNESS_BENCH_PHYSICS_BENCH_H_

#include "base/status.h"
#include "tasks/task.h"

namespace kvla {

struct PhysicsBench {
  double world_steps_per_s = 0;  // physics steps a second by World::Step()
  double bare_steps_per_s = 0;   // by mj_step() alone, on the same model with the same controls
  bool same_end = false;         // both ended in the same state, bit by bit
  double ratio() const { return world_steps_per_s / bare_steps_per_s; }
};

// Plays the expert's first `control_steps` control steps of one episode again and again, now by
// World::Step(), now by the bare loop, for `seconds` in all.
Result<PhysicsBench> BenchPhysics(const Task& task, int control_steps, double seconds);

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_PHYSICS_BENCH_H_
