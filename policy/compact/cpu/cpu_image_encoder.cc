// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/cpu/cpu_image_encoder.h"

#include <algorithm>
#include <cstring>

#include "policy/compact/net/shapes.h"

namespace kvla {
namespace {

// [out, in, kernel, kernel] as a channels-last convolution reads it: [out, kernel, kernel, in].
std::vector<float> ChannelsLast(const std::vector<float>& weight, int out, int in, int kernel) {
  std::vector<float> turned(weight.size());
  const int places = kernel * kernel;
  for (int o = 0; o < out; ++o) {
    for (int c = 0; c < in; ++c) {
      for (int p = 0; p < places; ++p) {
        turned[(o * places + p) * in + c] = weight[(o * in + c) * places + p];
      }
    }
  }
  return turned;
}

}  // namespace

CpuImageEncoder::CpuImageEncoder(const WeightSource& weights, const std::string& prefix,
                                 int image_size, int tokens, int hidden_size)
    : image_size_(image_size), tokens_(tokens), hidden_size_(hidden_size) {
  const auto norm = [&](const std::string& name) {
    return Norm{weights(prefix + name + ".weight"), weights(prefix + name + ".bias")};
  };
  int side = image_size, channels = 3;
  const auto add = [&](const std::string& convolution, const std::string& norm_name, int out,
                       int kernel, int stride, int padding) {
    Stage stage{.weight = PackedMatrix(
                    ChannelsLast(weights(prefix + convolution + ".weight"), out, channels, kernel),
                    {}, out, kernel * kernel * channels),
                .norm = norm(norm_name),
                .kernel = kernel,
                .stride = stride,
                .padding = padding,
                .in_side = side,
                .in_channels = channels,
                .side = (side + 2 * padding - kernel) / stride + 1,
                .channels = out,
                .padded = {}};
    const size_t padded_side = side + 2 * padding;
    stage.padded.assign(padded_side * padded_side * channels, 0);
    side = stage.side;
    channels = out;
    stages_.push_back(std::move(stage));
  };
  add(".trunk.0", ".trunk.1.norm", kTrunkChannels[0], kPatch, kPatchStride, kPatchPadding);
  add(".trunk.3", ".trunk.4.norm", kTrunkChannels[1], 3, 2, 1);
  add(".trunk.6", ".trunk.7.norm", kTrunkChannels[2], 3, 1, 1);
  add(".trunk.9", ".trunk.10.norm", kMapChannels, 1, 1, 0);
  const int places = side * side;
  // LibTorch flattens [channels, places], a map here is [places, channels].
  std::vector<float> turned(static_cast<size_t>(tokens) * hidden_size * places * kMapChannels);
  const std::vector<float> flat = weights(prefix + ".to_tokens.weight");
  for (int64_t o = 0; o < int64_t{tokens} * hidden_size; ++o) {
    const float* from = flat.data() + o * places * kMapChannels;
    float* to = turned.data() + o * places * kMapChannels;
    for (int p = 0; p < places; ++p) {
      for (int c = 0; c < kMapChannels; ++c) to[p * kMapChannels + c] = from[c * places + p];
    }
  }
  to_tokens_ = PackedMatrix(turned, weights(prefix + ".to_tokens.bias"), tokens * hidden_size,
                            places * kMapChannels);
  token_norm_ = norm(".norm");
  size_t largest = 0;
  for (const Stage& s : stages_) {
    largest = std::max(largest, static_cast<size_t>(s.side) * s.side * s.channels);
  }
  map_.resize(largest);
}

void CpuImageEncoder::Run(Stage& stage, float* out, int64_t row_stride) {
  const Kernels& kernels = CpuKernels();
  const int places = stage.side * stage.side;
  const int64_t in_row = int64_t{stage.in_side + 2 * stage.padding} * stage.in_channels;
  kernels.linear({.weight = stage.weight.view(),
                  .x = stage.padded.data(),
                  .rows = places,
                  .row_stride = int64_t{stage.stride} * stage.in_channels,
                  .out = map_.data(),
                  .out_stride = stage.channels,
                  .segments = stage.kernel,
                  .segment = stage.kernel * stage.in_channels,
                  .segment_stride = in_row,
                  .grid = stage.side,
                  .grid_stride = stage.stride * in_row});
  kernels.layer_norm({.x = map_.data(),
                      .rows = places,
                      .width = stage.channels,
                      .weight = stage.norm.weight.data(),
                      .bias = stage.norm.bias.data(),
                      .epsilon = static_cast<float>(kLayerNormEpsilon),
                      .out = map_.data(),
                      .silu = true});
  const int64_t row = int64_t{stage.side} * stage.channels;
  for (int y = 0; y < stage.side; ++y) {
    std::memcpy(out + y * row_stride, map_.data() + y * row, row * sizeof(float));
  }
}

void CpuImageEncoder::Encode(std::span<const std::span<const uint8_t>> images, float* out,
                             int64_t stride) {
  const int64_t places = int64_t{stages_.back().side} * stages_.back().side;
  const int64_t width = places * kMapChannels;
  features_.resize(images.size() * width);
  for (size_t i = 0; i < images.size(); ++i) {
    Stage& first = stages_.front();
    const int64_t in_row = int64_t{first.in_side + 2 * first.padding} * first.in_channels;
    const int64_t image_row = int64_t{image_size_} * first.in_channels;
    for (int y = 0; y < image_size_; ++y) {
      const uint8_t* from = images[i].data() + y * image_row;
      float* to = first.padded.data() + (y + first.padding) * in_row +
                  int64_t{first.padding} * first.in_channels;
      constexpr auto kUnit = static_cast<float>(1.0 / 255.0);
      for (int64_t x = 0; x < image_row; ++x) to[x] = static_cast<float>(from[x]) * kUnit - 0.5F;
    }
    for (size_t s = 0; s + 1 < stages_.size(); ++s) {
      Stage& next = stages_[s + 1];
      const int64_t row = int64_t{next.in_side + 2 * next.padding} * next.in_channels;
      Run(stages_[s],
          next.padded.data() + next.padding * row + int64_t{next.padding} * next.in_channels, row);
    }
    Run(stages_.back(), features_.data() + i * width,
        int64_t{stages_.back().side} * stages_.back().channels);
  }
  const Kernels& kernels = CpuKernels();
  kernels.linear({.weight = to_tokens_.view(),
                  .x = features_.data(),
                  .rows = static_cast<int>(images.size()),
                  .row_stride = width,
                  .out = out,
                  .out_stride = stride});
  for (size_t i = 0; i < images.size(); ++i) {
    kernels.layer_norm({.x = out + i * stride,
                        .rows = tokens_,
                        .width = hidden_size_,
                        .weight = token_norm_.weight.data(),
                        .bias = token_norm_.bias.data(),
                        .epsilon = static_cast<float>(kLayerNormEpsilon),
                        .out = out + i * stride});
  }
}

}  // namespace kvla
