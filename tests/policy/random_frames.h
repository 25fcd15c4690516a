// SPDX-License-Identifier: Apache-2.0
// Observations of nothing in particular, and what two nets make of them. Includes torch.
#ifndef KVLA_TESTS_POLICY_RANDOM_FRAMES_H_
#define KVLA_TESTS_POLICY_RANDOM_FRAMES_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/rng.h"
#include "policy/compact/policy_config.h"
#include "policy/compact/text/text_encoder_files.h"
#include "policy/policy.h"
#include "tensors/torch.h"

namespace kvla {

struct Frames {
  Frames(const PolicyConfig& config, int count, uint64_t seed) {
    Rng rng(seed);
    const size_t bytes = size_t{3} * config.image_size * config.image_size;
    for (int f = 0; f < count; ++f) {
      FrameInput frame;
      for (size_t c = 0; c < config.cameras.size(); ++c) {
        images.emplace_back(bytes);
        for (uint8_t& pixel : images.back()) pixel = static_cast<uint8_t>(rng.UniformInt(256));
        frame.images.emplace_back(images.back());
      }
      for (float& p : frame.proprio) p = 0.3F * static_cast<float>(rng.Normal());
      all.push_back(frame);
    }
    for (const FrameInput& frame : all) pointers.push_back(&frame);
  }
  std::vector<std::vector<uint8_t>> images;
  std::vector<FrameInput> all;
  std::vector<const FrameInput*> pointers;
};

inline torch::Tensor InstructionFor(const PolicyConfig& config) {
  return config.reads_sentences()
             ? torch::nn::functional::normalize(torch::randn({1, kTextEmbeddingSize})).squeeze(0)
             : torch::tensor({0, 2, 4, 3}, torch::kInt64);
}

inline double Largest(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(double{a[i]} - b[i]));
  return largest;
}

}  // namespace kvla

#endif  // KVLA_TESTS_POLICY_RANDOM_FRAMES_H_
