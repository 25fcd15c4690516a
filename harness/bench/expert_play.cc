// SPDX-License-Identifier: Apache-2.0
#include "harness/bench/expert_play.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "harness/episode/policy_io.h"
#include "sim/renderer.h"
#include "tasks/task_list.h"

namespace kvla {

Status PlayExpert(const Task& task, World& world,
                  const std::function<Result<bool>(int64_t steps)>& before_step) {
  const TaskInfo& info = task.info();
  const std::string delay = info.delays.empty() ? "" : info.delays.front();
  int64_t steps = 0;
  for (uint64_t episode = 0;; ++episode) {
    const EpisodeKey key{Split::kValidation, 0, info.name, delay, episode};
    const Result<Scenario> scenario = task.Place(world, key);
    if (!scenario.ok()) return scenario.status();
    task.Update(world, *scenario);
    const std::unique_ptr<Expert> expert =
        task.MakeExpert(*scenario, /*blind=*/false, Rng(key, "bench"));
    bool done = false;
    for (int step = 0; step < scenario->horizon_steps && !done; ++step, ++steps) {
      const Result<bool> go_on = before_step(steps);
      if (!go_on.ok()) return go_on.status();
      if (!*go_on) return {};
      if (Status status = world.Step(expert->Act(world)); !status.ok()) return status;
      task.Update(world, *scenario);
      done = task.Evaluate(world, *scenario).done;
    }
  }
}

Result<ExpertFrames> ExpertFrames::Record(const std::filesystem::path& asset_root,
                                          const std::string& name, const PolicySpec& policy,
                                          int count) {
  const Result<std::unique_ptr<Task>> task = MakeTask(name, asset_root);
  if (!task.ok()) return task.status();
  const Result<std::unique_ptr<World>> world = World::Load((*task)->scene());
  if (!world.ok()) return world.status();
  int side = 1;
  for (const PolicyCamera& camera : policy.cameras) {
    side = std::max({side, camera.width, camera.height});
  }
  const Result<std::unique_ptr<Renderer>> renderer =
      Renderer::Create((*world)->model(), side, side);
  if (!renderer.ok()) return renderer.status();
  ExpertFrames frames;
  std::vector<Proprioception> proprio;
  const auto see = [&](int64_t steps) -> Result<bool> {
    if (steps % policy.replan_steps != 0) return true;
    if (static_cast<int>(proprio.size()) == count) return false;
    proprio.push_back((*world)->Proprio());
    std::vector<Image>& images = frames.images_.emplace_back(policy.cameras.size());
    for (size_t i = 0; i < images.size(); ++i) {
      const PolicyCamera& camera = policy.cameras[i];
      Status status =
          (*renderer)->Render(**world, camera.name, camera.width, camera.height, &images[i]);
      if (!status.ok()) return status;
    }
    return true;
  };
  if (Status status = PlayExpert(**task, **world, see); !status.ok()) return status;
  for (size_t i = 0; i < proprio.size(); ++i) {
    frames.inputs_.push_back(MakeFrameInput(frames.images_[i], proprio[i]));
  }
  return frames;
}

}  // namespace kvla
