// SPDX-License-Identifier: Apache-2.0
// Camera images to a few tokens. Includes torch.
#ifndef KVLA_POLICY_COMPACT_NET_IMAGE_ENCODER_H_
#define KVLA_POLICY_COMPACT_NET_IMAGE_ENCODER_H_

#include "tensors/torch.h"
namespace kvla {

// Layer norm over the channels of every pixel: [frames, channels, h, w] in and out.
class ChannelNormImpl : public torch::nn::Module {
 public:
  explicit ChannelNormImpl(int channels);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  torch::nn::LayerNorm norm_{nullptr};
};
TORCH_MODULE(ChannelNorm);

// Normalised convolutions, then one linear map per token over the whole feature map.
// Without normalisation the units die unseen while the other camera still learns, so every
// convolution is followed by a norm, and so are the tokens. (A group norm's backward pass took a
// third of a training step.)
class ImageEncoderImpl : public torch::nn::Module {
 public:
  ImageEncoderImpl(int image_size, int tokens, int hidden_size);

  // images: [frames, 3, size, size] in [-0.5, 0.5] -> [frames, tokens, hidden_size]
  torch::Tensor forward(const torch::Tensor& images);

 private:
  int tokens_, hidden_size_;
  torch::nn::Sequential trunk_{nullptr};
  torch::nn::Linear to_tokens_{nullptr};
  torch::nn::LayerNorm norm_{nullptr};
};
TORCH_MODULE(ImageEncoder);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_NET_IMAGE_ENCODER_H_
