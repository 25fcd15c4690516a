// SPDX-License-Identifier: Apache-2.0
// A layer of a vision transformer: norms in front, attention of all rows to all, tanh-GELU. torch.
#ifndef KVLA_POLICY_BACKBONES_VISION_LAYER_H_
#define KVLA_POLICY_BACKBONES_VISION_LAYER_H_

#include <ATen/core/Tensor.h>

#include <string>

#include "policy/backbones/named_weights.h"
#include "policy/backbones/sizes.h"

namespace kvla {

struct LayerNorm {
  at::Tensor weight, bias;
  at::Tensor operator()(const at::Tensor& x, double epsilon) const;
};
LayerNorm TakeLayerNorm(NamedWeights* weights, const std::string& name, int width);

// Immutable.
class VisionLayer {
 public:
  // By the names of transformers' SigLIP below `prefix`.
  VisionLayer(NamedWeights* weights, const std::string& prefix, const VisionSizes& sizes);

  at::Tensor Run(const at::Tensor& x) const;  // [n, hidden] -> the same shape

 private:
  int heads_;
  double epsilon_;
  LayerNorm norm1_, norm2_;
  LinearMap q_, k_, v_, out_, fc1_, fc2_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_VISION_LAYER_H_
