// SPDX-License-Identifier: Apache-2.0
#include "harness/episode/episode_video.h"

#include "harness/episode/episode_states.h"
#include "harness/episode/suite_options.h"
#include "results/video/video_writer.h"

namespace kvla {

Status EpisodeFilmer::Prepare(const EpisodeBegin& begin) {
  if (IsTaskOf(task_.get(), begin)) return {};
  renderer_.reset();
  world_.reset();
  task_.reset();
  Result<std::unique_ptr<Task>> task = MakeTaskOf(begin, asset_root_);
  if (!task.ok()) return task.status();
  Result<std::unique_ptr<World>> world = World::Load((*task)->scene());
  if (!world.ok()) return world.status();
  RenderQuality quality;
  quality.samples = 4;
  Result<std::unique_ptr<Renderer>> renderer =
      Renderer::Create((*world)->model(), options_.size, options_.size, quality);
  if (!renderer.ok()) return renderer.status();
  task_ = *std::move(task);
  world_ = *std::move(world);
  renderer_ = *std::move(renderer);
  return {};
}

Result<std::string> EpisodeFilmer::Film(const EpisodeRecord& record) {
  if (Status status = Prepare(record.begin); !status.ok()) return status;
  Result<std::unique_ptr<EpisodeStates>> states = EpisodeStates::Make(record, *task_, world_.get());
  if (!states.ok()) return states.status();
  Result<std::unique_ptr<VideoWriter>> video =
      VideoWriter::Create(options_.size, options_.size, kControlRateHz / options_.every_steps,
                          ToString(record.begin.id));
  if (!video.ok()) return video.status();
  const auto add = [&](int i) -> Status {
    if (Status status = (*states)->Show(i); !status.ok()) return status;
    Image image;
    if (Status status =
            renderer_->Render(*world_, options_.camera, options_.size, options_.size, &image);
        !status.ok()) {
      return status;
    }
    return (*video)->Add(image.rgb);
  };
  const int last = (*states)->count() - 1;
  for (int i = 0; i < last; i += options_.every_steps) {
    if (Status status = add(i); !status.ok()) return status;
  }
  if (Status status = add(last); !status.ok()) return status;  // the end itself
  return (*video)->Finish();
}

}  // namespace kvla
