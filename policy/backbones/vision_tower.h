// SPDX-License-Identifier: Apache-2.0
// SigLIP as SmolVLM has it: an image to patches to hidden states. torch.
#ifndef KVLA_POLICY_BACKBONES_VISION_TOWER_H_
#define KVLA_POLICY_BACKBONES_VISION_TOWER_H_

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "policy/backbones/named_weights.h"
#include "policy/backbones/sizes.h"
#include "policy/backbones/stages.h"
#include "policy/backbones/vision_layer.h"

namespace kvla {

// An image u8 [height, width, 3] as the tower reads it: [3, size, size] f32 in [-1, 1], resized
// bilinearly to the longer side, its ratio kept, black to the left and on top (LeRobot's
// resize_with_pad).
at::Tensor PixelsOf(const at::Tensor& image, int size);

// Squares of `factor` x `factor` patches side by side in one row: [n * n, width] ->
// [(n / factor)^2, factor^2 * width].
at::Tensor PixelShuffled(const at::Tensor& patches, int factor);

// Immutable.
class VisionTower {
 public:
  VisionTower(NamedWeights* weights, const std::string& prefix, const VisionSizes& sizes);

  // pixels [3, image, image] -> [patches, hidden], after the last norm. Stages: PREFIXpatches,
  // PREFIXlayer.I, PREFIXvision.
  at::Tensor Run(const at::Tensor& pixels, const StageFn& stage, const std::string& prefix) const;

 private:
  VisionSizes sizes_;
  at::Tensor patch_weight_, patch_bias_;  // [hidden, 3, patch, patch], [hidden]
  at::Tensor positions_;                  // [patches, hidden], row by row
  std::vector<VisionLayer> layers_;
  LayerNorm last_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_VISION_TOWER_H_
