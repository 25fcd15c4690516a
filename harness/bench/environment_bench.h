// SPDX-License-Identifier: Apache-2.0
// The environment side: physics, script and images.
#ifndef KVLA_HARNESS_BENCH_ENVIRONMENT_BENCH_H_
#define KVLA_HARNESS_BENCH_ENVIRONMENT_BENCH_H_

#include <string>

#include "base/status.h"
#include "tasks/task.h"

namespace kvla {

struct EnvironmentBench {
  int cameras = 0;
  double control_steps_per_s = 0;
  std::string gl_renderer;
};

// The expert at work for `seconds`, both cameras drawn at every control step, `size` pixels a side.
Result<EnvironmentBench> BenchEnvironment(const Task& task, int size, double seconds);

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_ENVIRONMENT_BENCH_H_
