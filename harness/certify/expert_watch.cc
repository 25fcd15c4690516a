// SPDX-License-Identifier: Apache-2.0
#include "harness/certify/expert_watch.h"

#include <memory>

namespace kvla {

Status WatchExpert(const Task& task, World& world, const EpisodeKey& key, const LookFn& look) {
  const Result<Scenario> scenario = task.Place(world, key);
  if (!scenario.ok()) return scenario.status();
  task.Update(world, *scenario);
  const std::unique_ptr<Expert> expert =
      task.MakeExpert(*scenario, /*blind=*/false, Rng(key, "probe/expert"));
  for (int step = 0; step < scenario->horizon_steps; ++step) {
    const Action action = expert->Act(world);
    const Result<bool> on = look(*scenario, step, expert->Label());
    if (!on.ok()) return on.status();
    if (!*on) return {};
    const Status stepped = world.Step(action);
    if (stepped.code() == StatusCode::kDiverged) return {};
    if (!stepped.ok()) return stepped;
    task.Update(world, *scenario);
    if (task.Evaluate(world, *scenario).done) return {};
  }
  return {};
}

}  // namespace kvla
