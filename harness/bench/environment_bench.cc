// SPDX-License-Identifier: Apache-2.0
#include "harness/bench/environment_bench.h"

#include <memory>

#include "base/stopwatch.h"
#include "harness/bench/expert_play.h"
#include "sim/renderer.h"

namespace kvla {

Result<EnvironmentBench> BenchEnvironment(const Task& task, int size, double seconds) {
  constexpr const char* kCameras[] = {"front", "wrist"};
  constexpr int64_t kWarmUp = 20;  // shaders and caches first
  const Result<std::unique_ptr<World>> world = World::Load(task.scene());
  if (!world.ok()) return world.status();
  const Result<std::unique_ptr<Renderer>> renderer =
      Renderer::Create((*world)->model(), size, size);
  if (!renderer.ok()) return renderer.status();
  EnvironmentBench bench{std::size(kCameras), 0, (*renderer)->gl_renderer()};
  Image image;
  double begin_ms = 0;
  const auto draw = [&](int64_t steps) -> Result<bool> {
    if (steps == kWarmUp) begin_ms = SteadyMs();
    if (steps > kWarmUp) {
      const double elapsed_s = (SteadyMs() - begin_ms) / 1000;
      bench.control_steps_per_s = static_cast<double>(steps - kWarmUp) / elapsed_s;
      if (elapsed_s >= seconds) return false;
    }
    for (const char* camera : kCameras) {
      if (Status s = (*renderer)->Render(**world, camera, size, size, &image); !s.ok()) return s;
    }
    return true;
  };
  if (Status status = PlayExpert(task, **world, draw); !status.ok()) return status;
  return bench;
}

}  // namespace kvla
