// SPDX-License-Identifier: Apache-2.0
#include "harness/certify/expert_watch.h"

#include <iterator>
#include <utility>

namespace kvla {
namespace {

constexpr const char* kCameras[] = {"front", "wrist"};

}  // namespace

Result<std::shared_ptr<ExpertWatch>> ExpertWatch::Create(const Task& task, int image_size) {
  std::shared_ptr<ExpertWatch> watch(new ExpertWatch(task, image_size));
  Result<std::unique_ptr<World>> world = World::Load(task.scene());
  if (!world.ok()) return world.status();
  watch->world_ = *std::move(world);
  Result<std::unique_ptr<Renderer>> renderer =
      Renderer::Create(watch->world_->model(), image_size, image_size);
  if (!renderer.ok()) return renderer.status();
  watch->renderer_ = *std::move(renderer);
  return watch;
}

Status ExpertWatch::Play(const EpisodeKey& key, const LookFn& look) {
  const Result<Scenario> scenario = task_.Place(*world_, key);
  if (!scenario.ok()) return scenario.status();
  task_.Update(*world_, *scenario);
  const std::unique_ptr<Expert> expert =
      task_.MakeExpert(*scenario, /*blind=*/false, Rng(key, "probe/expert"));
  for (int step = 0; step < scenario->horizon_steps; ++step) {
    const Action action = expert->Act(*world_);
    const Result<bool> on = look(*scenario, step, expert->Label());
    if (!on.ok()) return on.status();
    if (!*on) return {};
    const Status stepped = world_->Step(action);
    if (stepped.code() == StatusCode::kDiverged) return {};
    if (!stepped.ok()) return stepped;
    task_.Update(*world_, *scenario);
    if (task_.Evaluate(*world_, *scenario).done) return {};
  }
  return {};
}

Status ExpertWatch::Look(std::vector<Image>* images) {
  images->resize(std::size(kCameras));
  for (size_t c = 0; c < images->size(); ++c) {
    Status status =
        renderer_->Render(*world_, kCameras[c], image_size_, image_size_, &(*images)[c]);
    if (!status.ok()) return status;
  }
  return {};
}

}  // namespace kvla
