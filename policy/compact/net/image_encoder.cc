// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/net/image_encoder.h"

#include "policy/compact/net/shapes.h"

namespace kvla {
namespace {

torch::nn::Conv2d Conv(int in, int out, int kernel, int stride, int padding) {
  return torch::nn::Conv2d(
      torch::nn::Conv2dOptions(in, out, kernel).stride(stride).padding(padding).bias(false));
}

}  // namespace

ChannelNormImpl::ChannelNormImpl(int channels) {
  norm_ = register_module("norm", torch::nn::LayerNorm(std::vector<int64_t>{channels}));
}

torch::Tensor ChannelNormImpl::forward(const torch::Tensor& x) {
  return norm_(x.permute({0, 2, 3, 1})).permute({0, 3, 1, 2});
}

ImageEncoderImpl::ImageEncoderImpl(int image_size, int tokens, int hidden_size)
    : tokens_(tokens), hidden_size_(hidden_size) {
  const int side = image_size / kTrunkStride;
  trunk_ = register_module(
      "trunk",
      torch::nn::Sequential(Conv(3, kTrunkChannels[0], kPatch, kPatchStride, kPatchPadding),
                            ChannelNorm(kTrunkChannels[0]), torch::nn::SiLU(),
                            Conv(kTrunkChannels[0], kTrunkChannels[1], 3, 2, 1),
                            ChannelNorm(kTrunkChannels[1]), torch::nn::SiLU(),
                            Conv(kTrunkChannels[1], kTrunkChannels[2], 3, 1, 1),
                            ChannelNorm(kTrunkChannels[2]), torch::nn::SiLU(),
                            Conv(kTrunkChannels[2], kMapChannels, 1, 1, 0),
                            ChannelNorm(kMapChannels), torch::nn::SiLU()));
  to_tokens_ = register_module("to_tokens",
                               torch::nn::Linear(kMapChannels * side * side, tokens * hidden_size));
  norm_ = register_module("norm", torch::nn::LayerNorm(std::vector<int64_t>{hidden_size}));
}

torch::Tensor ImageEncoderImpl::forward(const torch::Tensor& images) {
  const torch::Tensor features = trunk_->forward(images).flatten(1);
  return norm_(to_tokens_(features).view({images.size(0), tokens_, hidden_size_}));
}

}  // namespace kvla
