// SPDX-License-Identifier: Apache-2.0
// As transformers 5.5.4 computes it (modeling_smolvlm.py); position ids are row * n + column, which
// earlier versions miss in f32.
#include "policy/backbones/vision_tower.h"

#include <algorithm>

#include "tensors/torch.h"

namespace kvla {

at::Tensor PixelsOf(const at::Tensor& image, int size) {
  at::Tensor x = image.permute({2, 0, 1}).to(at::kFloat).div(255).unsqueeze(0);
  const int64_t height = x.size(2), width = x.size(3);
  if (height != size || width != size) {
    const double ratio =
        std::max(static_cast<double>(width) / size, static_cast<double>(height) / size);
    const auto scaled = [&](int64_t n) {
      return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(n) / ratio));
    };
    x = at::upsample_bilinear2d(x, {scaled(height), scaled(width)}, /*align_corners=*/false);
    x = torch::constant_pad_nd(x, {size - x.size(3), 0, size - x.size(2), 0});
  }
  return (x * 2 - 1)[0];
}

at::Tensor PixelShuffled(const at::Tensor& patches, int factor) {
  int64_t side = 0;
  while (side * side < patches.size(0)) ++side;
  return patches.view({side / factor, factor, side / factor, factor, patches.size(1)})
      .transpose(1, 2)
      .reshape({-1, factor * factor * patches.size(1)});
}

VisionTower::VisionTower(NamedWeights* weights, const std::string& prefix, const VisionSizes& sizes)
    : sizes_(sizes) {
  const int hidden = sizes.hidden;
  const std::string patch = prefix + "embeddings.patch_embedding";
  patch_weight_ = weights->Take(patch + ".weight", {hidden, 3, sizes.patch, sizes.patch});
  patch_bias_ = weights->Take(patch + ".bias", {hidden});
  positions_ =
      weights->Take(prefix + "embeddings.position_embedding.weight", {sizes.patches(), hidden});
  for (int i = 0; i < sizes.layers; ++i) {
    layers_.emplace_back(weights, prefix + "encoder.layers." + std::to_string(i) + ".", sizes);
  }
  last_ = TakeLayerNorm(weights, prefix + "post_layernorm", hidden);
}

at::Tensor VisionTower::Run(const at::Tensor& pixels, const StageFn& stage,
                            const std::string& prefix) const {
  at::Tensor x = at::conv2d(pixels.unsqueeze(0), patch_weight_, patch_bias_, sizes_.patch)[0];
  x = x.flatten(1).t() + positions_;
  Tell(stage, prefix + "patches", x);
  for (size_t i = 0; i < layers_.size(); ++i) {
    x = layers_[i].Run(x);
    Tell(stage, prefix + "layer." + std::to_string(i), x);
  }
  x = last_(x, sizes_.epsilon);
  Tell(stage, prefix + "vision", x);
  return x;
}

}  // namespace kvla
