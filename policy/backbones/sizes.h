// SPDX-License-Identifier: Apache-2.0
// Sizes of the parts that published backbones are made of. No torch.
#ifndef KVLA_POLICY_BACKBONES_SIZES_H_
#define KVLA_POLICY_BACKBONES_SIZES_H_

namespace kvla {

// A SigLIP tower; its images are square.
struct VisionSizes {
  int image = 0, patch = 0;  // pixels a side
  int hidden = 0, layers = 0, heads = 0, mlp = 0;
  double epsilon = 1e-6;  // of its layer norms
  int grid() const { return image / patch; }
  int patches() const { return grid() * grid(); }
};

// Llama layers; the heads may be wider or narrower together than the hidden state.
struct LlamaSizes {
  int hidden = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, mlp = 0;
  double epsilon = 1e-5;  // of its RMS norms
  int group() const { return heads / kv_heads; }
  int query_width() const { return heads * head_dim; }
  int kv_width() const { return kv_heads * head_dim; }
};

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_SIZES_H_
