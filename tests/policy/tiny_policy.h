// SPDX-License-Identifier: Apache-2.0
// A policy and demonstrations small enough for unit tests. Includes torch.
#ifndef KVLA_TESTS_POLICY_TINY_POLICY_H_
#define KVLA_TESTS_POLICY_TINY_POLICY_H_

#include <string>
#include <vector>

#include "base/rng.h"
#include "policy/compact/policy_config.h"
#include "policy/compact/training/demo_source.h"

namespace kvla {

inline PolicyConfig TinyConfig() {
  PolicyConfig config;
  config.image_size = 32;
  config.hidden_size = 32;
  config.num_layers = 2;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.intermediate_size = 48;
  config.camera_tokens = {2, 1};
  config.age_clamp_blocks = 9;
  config.window_blocks = 4;
  config.chunk_blocks = 2;
  config.vocabulary = {"press", "the", "button"};
  return config;
}

// The first cue block is painted in the target's shade; the decision comes at the end.
inline DemoEpisode TinyEpisode(const PolicyConfig& config, int blocks, int cue_block, int target) {
  Rng rng(StableHash("tiny") + static_cast<uint64_t>(blocks * 100 + target));
  DemoEpisode episode;
  episode.task = "tiny";
  episode.instruction = "press the button";
  episode.blocks = blocks;
  episode.steps = blocks * config.replan_steps;
  const size_t bytes = size_t{3} * config.image_size * config.image_size;
  for (size_t c = 0; c < config.cameras.size(); ++c) {
    std::vector<uint8_t> camera(bytes * blocks);
    // Rows of a shade of their own, so that an encoder has something to see.
    for (size_t row = 0; row < camera.size() / (3 * config.image_size); ++row) {
      const auto begin = camera.begin() + static_cast<std::ptrdiff_t>(row * 3 * config.image_size);
      std::fill(begin, begin + 3 * config.image_size, static_cast<uint8_t>(rng.UniformInt(200)));
    }
    const auto cue = camera.begin() + static_cast<std::ptrdiff_t>(bytes) * cue_block;
    std::fill(cue, cue + static_cast<std::ptrdiff_t>(bytes),
              static_cast<uint8_t>(60 + 60 * target));
    episode.images.push_back(std::move(camera));
  }
  for (int block = 0; block < blocks; ++block) {
    episode.proprio.push_back({0.5F, 0.01F * static_cast<float>(block), 0.2F, 0, 0, 0, 0.04F});
  }
  for (int step = 0; step < episode.steps; ++step) {
    const bool decision = step >= (blocks - 3) * config.replan_steps;
    const float y = decision ? 0.1F * static_cast<float>(target) : 0.0F;
    episode.targets.push_back({0.5F, y, 0.2F, 0, 0, 0, step % 2 == 0 ? 1.0F : -1.0F});
    episode.waypoints.push_back({0.5F, y, 0.1F});
    episode.target_class.push_back(decision ? target : -1);
    episode.decision.push_back(decision ? 1 : 0);
  }
  episode.cue_blocks = {{cue_block, cue_block + 1}};
  return episode;
}

class TinySource : public DemoSource {
 public:
  explicit TinySource(std::vector<DemoEpisode> episodes) : episodes_(std::move(episodes)) {}
  int size() const override { return static_cast<int>(episodes_.size()); }
  Result<DemoEpisode> Read(int index) override { return episodes_[index]; }

 private:
  std::vector<DemoEpisode> episodes_;
};

}  // namespace kvla

#endif  // KVLA_TESTS_POLICY_TINY_POLICY_H_
