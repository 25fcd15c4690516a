// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/demo_source.h"

#include <fmt/format.h>

#include <algorithm>

#include "policy/compact/policy_config.h"

namespace kvla {

void PackImages(DemoEpisode* episode) {
  for (const std::vector<uint8_t>& camera : episode->images) {
    episode->packed.push_back(PackedFrames::Pack(camera, camera.size() / episode->blocks));
  }
  episode->images.clear();
  episode->images.shrink_to_fit();
}

EpisodeFrames::EpisodeFrames(const DemoEpisode& episode, size_t camera)
    : packed_(episode.packed.empty() ? PackedFrames() : episode.packed[camera]) {
  if (!episode.packed.empty()) return;
  raw_ = episode.images[camera];
  frame_bytes_ = raw_.size() / episode.blocks;
}

std::span<const uint8_t> EpisodeFrames::At(int block) {
  return raw_.empty() ? packed_.At(block) : raw_.subspan(block * frame_bytes_, frame_bytes_);
}

Status CheckDemo(const DemoEpisode& e, const PolicyConfig& config) {
  const auto bad = [&e](const std::string& what) { return BadInput(e.where + ": " + what); };
  const int stride = config.replan_steps;
  if (e.steps < 1 || e.blocks != (e.steps + stride - 1) / stride) {
    return bad(fmt::format("{} images in {} control steps, the policy's replan_steps is {}",
                           e.blocks, e.steps, stride));
  }
  std::vector<size_t> sizes;  // bytes, of each camera
  for (const std::vector<uint8_t>& camera : e.images) sizes.push_back(camera.size());
  for (const PackedFrames& camera : e.packed) {
    sizes.push_back(camera.frames() * camera.frame_bytes());
  }
  if (sizes.size() != config.cameras.size()) {
    return bad(fmt::format("images of {} cameras, the policy has {}", sizes.size(),
                           config.cameras.size()));
  }
  const size_t bytes = size_t{3} * config.image_size * config.image_size * e.blocks;
  for (const size_t size : sizes) {
    if (size == bytes) continue;
    return bad(fmt::format("images of {} bytes, {} are wanted: {} RGB images of {}x{}", size, bytes,
                           e.blocks, config.image_size, config.image_size));
  }
  const auto steps = static_cast<size_t>(e.steps);
  if (e.proprio.size() != static_cast<size_t>(e.blocks) || e.targets.size() != steps ||
      e.waypoints.size() != steps || e.target_class.size() != steps || e.decision.size() != steps) {
    return bad(fmt::format("its lists are not of {} images and {} control steps", e.blocks, steps));
  }
  const auto inside = [&e](const auto& shown) {
    return shown.first >= 0 && shown.first <= shown.second && shown.second <= e.blocks;
  };
  if (!std::ranges::all_of(e.cue_blocks, inside)) return bad("a cue lies outside of the episode");
  if (!std::ranges::all_of(e.decoy_blocks, inside)) {
    return bad("a decoy lies outside of the episode");
  }
  return {};
}

}  // namespace kvla
