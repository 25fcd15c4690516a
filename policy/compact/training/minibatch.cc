// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/minibatch.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "policy/compact/net/shapes.h"
#include "policy/compact/net/vla_net.h"

namespace kvla {
namespace {

// Which of the episode's cues an inference saw; -1 none.
int CueOrder(const DemoEpisode& episode, int block) {
  for (size_t i = 0; i < episode.cue_blocks.size(); ++i) {
    const auto& [begin, end] = episode.cue_blocks[i];
    if (block >= begin && block < end) return static_cast<int>(i);
  }
  return -1;
}

// Writes one frame block's row of every tensor.
class BlockWriter {
 public:
  BlockWriter(Batch* batch, const PolicyConfig& config) : batch_(*batch), config_(config) {}

  // Of all of a history's blocks: neighbours are unpacked together.
  void Images(const DemoEpisode& episode, const std::vector<int>& blocks, int64_t first_row) {
    for (size_t c = 0; c < batch_.images.size(); ++c) {
      EpisodeFrames frames(episode, c);
      uint8_t* row = batch_.images[c].data_ptr<uint8_t>() + first_row * batch_.images[c].stride(0);
      for (const int block : blocks) {
        const std::span<const uint8_t> image = frames.At(block);
        row = std::copy(image.begin(), image.end(), row);
      }
    }
  }

  void Proprio(const DemoEpisode& episode, int block, int64_t row) {
    std::copy(episode.proprio[block].begin(), episode.proprio[block].end(),
              batch_.proprio.data_ptr<float>() + row * kProprioDim);
  }

  void Labels(const DemoEpisode& episode, int block, bool know_target, int64_t row) {
    const int first = block * config_.replan_steps;
    const std::array<float, kProprioDim>& here = episode.proprio[block];
    for (int r = 0; r < config_.replan_steps && first + r < episode.steps; ++r) {
      const int64_t cell = row * config_.replan_steps + r;
      const std::array<float, kTargetDim>& target = episode.targets[first + r];
      float* motion = batch_.motion.data_ptr<float>() + cell * kMotionDim;
      for (int i = 0; i < 3; ++i) {
        motion[i] = (target[i] - here[i]) / static_cast<float>(kPositionScale);
        motion[3 + i] = target[3 + i];
      }
      batch_.gripper.data_ptr<float>()[cell] = target[kMotionDim] > 0 ? 1.0F : 0.0F;
      batch_.action_valid.data_ptr<float>()[cell] = 1.0F;
    }
    const int step = std::min(first, episode.steps - 1);
    for (int i = 0; i < 3; ++i) {
      batch_.waypoint.data_ptr<float>()[row * 3 + i] =
          (episode.waypoints[step][i] - here[i]) / static_cast<float>(kWaypointScale);
    }
    const size_t classes = std::min<size_t>(episode.target_places.size(),
                                            static_cast<size_t>(config_.num_target_classes));
    for (size_t c = 0; c < classes; ++c) {
      if (std::isnan(episode.target_places[c][0])) continue;
      for (size_t i = 0; i < 3; ++i) {
        batch_.places.data_ptr<float>()[(row * config_.num_target_classes + c) * 3 + i] =
            (episode.target_places[c][i] - here[i]) / static_cast<float>(kWaypointScale);
      }
      batch_.places_valid.data_ptr<float>()[row * config_.num_target_classes + c] = 1.0F;
    }
    const int target = episode.target_class[step];
    batch_.target_class.data_ptr<int64_t>()[row] = target;
    // Under history: by_cues it is nothing to learn where the cue is not in sight.
    batch_.target_known.data_ptr<float>()[row] = know_target && target >= 0 ? 1.0F : 0.0F;
    const bool know_order = know_target && config_.cue_orders > 0;
    batch_.cue_order.data_ptr<int64_t>()[row] = know_order ? CueOrder(episode, block) : -1;
    batch_.decision.data_ptr<float>()[row] = episode.decision[step] != 0 ? 1.0F : 0.0F;
    batch_.uses_target.data_ptr<float>()[row] =
        UsesTarget(episode, block, config_.replan_steps) ? 1.0F : 0.0F;
    batch_.fresh.data_ptr<float>()[row] =
        IsFresh(episode, block, config_.replan_steps) ? 1.0F : 0.0F;
    batch_.valid.data_ptr<float>()[row] = 1.0F;
  }

 private:
  Batch& batch_;
  const PolicyConfig& config_;
};

}  // namespace

Batch MakeBatch(const std::vector<const DemoEpisode*>& episodes, std::vector<SubHistory> histories,
                const PolicyConfig& config, const torch::Tensor& instruction) {
  Batch batch;
  batch.samples = static_cast<int>(episodes.size());
  for (const SubHistory& h : histories) {
    batch.blocks = std::max(batch.blocks, static_cast<int>(h.blocks.size()));
  }
  const int64_t samples = batch.samples, blocks = batch.blocks, rows = samples * blocks;
  const int64_t side = config.image_size, steps = config.replan_steps;
  batch.instruction = instruction;
  for (const DemoEpisode* episode : episodes) batch.tasks.push_back(episode->task);
  const DemoEpisode& first = *episodes.front();
  for (size_t c = 0; c < std::max(first.images.size(), first.packed.size()); ++c) {
    batch.images.push_back(torch::zeros({rows, side, side, 3}, torch::kUInt8));
  }
  batch.proprio = torch::zeros({rows, kProprioDim});
  batch.motion = torch::zeros({samples, blocks, steps, kMotionDim});
  batch.gripper = torch::zeros({samples, blocks, steps});
  batch.action_valid = torch::zeros({samples, blocks, steps});
  batch.waypoint = torch::zeros({samples, blocks, 3});
  batch.target_class = torch::full({samples, blocks}, -1, torch::kInt64);
  batch.target_known = torch::zeros({samples, blocks});
  batch.cue_order = torch::full({samples, blocks}, -1, torch::kInt64);
  batch.places = torch::zeros({samples, blocks, config.num_target_classes, 3});
  batch.places_valid = torch::zeros({samples, blocks, config.num_target_classes});
  batch.choices = torch::zeros({samples, config.num_target_classes});
  batch.decision = torch::zeros({samples, blocks});
  batch.uses_target = torch::zeros({samples, blocks});
  batch.fresh = torch::zeros({samples, blocks});
  batch.valid = torch::zeros({samples, blocks});
  BlockWriter writer(&batch, config);
  for (int64_t s = 0; s < samples; ++s) {
    const SubHistory& history = histories[s];
    batch.choices[s]
        .narrow(0, 0, std::min(episodes[s]->choices, config.num_target_classes))
        .fill_(1);
    writer.Images(*episodes[s], history.blocks, s * blocks);
    for (size_t b = 0; b < history.blocks.size(); ++b) {
      const int64_t row = s * blocks + static_cast<int64_t>(b);
      writer.Proprio(*episodes[s], history.blocks[b], row);
      writer.Labels(*episodes[s], history.blocks[b], history.holds_cue, row);
    }
  }
  batch.histories = std::move(histories);
  return batch;
}

torch::Tensor GatherEncoded(const Batch& batch, const std::vector<torch::Tensor>& episodes) {
  torch::Tensor out = torch::zeros(
      {batch.samples, batch.blocks, episodes.front().size(1), episodes.front().size(2)});
  for (int64_t s = 0; s < batch.samples; ++s) {
    const std::vector<int>& blocks = batch.histories[s].blocks;
    const auto count = static_cast<int64_t>(blocks.size());
    out[s]
        .narrow(0, 0, count)
        .copy_(episodes[s].index_select(
            0, torch::tensor(std::vector<int64_t>(blocks.begin(), blocks.end()))));
  }
  return out.flatten(0, 1);
}

}  // namespace kvla
