// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/demo_source.h"

#include <fmt/format.h>

#include <algorithm>

#include "policy/compact/policy_config.h"

namespace kvla {

Status CheckDemo(const DemoEpisode& e, const PolicyConfig& config) {
  const auto bad = [&e](const std::string& what) { return BadInput(e.where + ": " + what); };
  const int stride = config.replan_steps;
  if (e.steps < 1 || e.blocks != (e.steps + stride - 1) / stride) {
    return bad(fmt::format("{} images in {} control steps, the policy's replan_steps is {}",
                           e.blocks, e.steps, stride));
  }
  if (e.images.size() != config.cameras.size()) {
    return bad(fmt::format("images of {} cameras, the policy has {}", e.images.size(),
                           config.cameras.size()));
  }
  const size_t bytes = size_t{3} * config.image_size * config.image_size * e.blocks;
  for (const std::vector<uint8_t>& camera : e.images) {
    if (camera.size() == bytes) continue;
    return bad(fmt::format("images of {} bytes, {} are wanted: {} RGB images of {}x{}",
                           camera.size(), bytes, e.blocks, config.image_size, config.image_size));
  }
  const auto steps = static_cast<size_t>(e.steps);
  if (e.proprio.size() != static_cast<size_t>(e.blocks) || e.targets.size() != steps ||
      e.waypoints.size() != steps || e.target_class.size() != steps || e.decision.size() != steps) {
    return bad(fmt::format("its lists are not of {} images and {} control steps", e.blocks, steps));
  }
  if (!std::ranges::all_of(e.cue_blocks, [&e](const auto& cue) {
        return cue.first >= 0 && cue.first <= cue.second && cue.second <= e.blocks;
      })) {
    return bad("a cue lies outside of the episode");
  }
  return {};
}

}  // namespace kvla
