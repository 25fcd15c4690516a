// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/encode_episode.h"

#include <algorithm>
#include <span>
#include <vector>

#include "base/hash.h"
#include "policy/compact/checkpoint.h"
#include "policy/compact/training/train.h"

namespace kvla {
namespace {

constexpr int64_t kBlocksAtOnce = 64;

}  // namespace

torch::Tensor EncodeEpisode(VlaNet& net, const DemoEpisode& episode) {
  const torch::NoGradGuard no_grad;
  const int64_t side = net->config().image_size;
  std::vector<torch::Tensor> parts;
  std::vector<EpisodeFrames> cameras;
  for (size_t c = 0; c < net->config().cameras.size(); ++c) cameras.emplace_back(episode, c);
  for (int64_t first = 0; first < episode.blocks; first += kBlocksAtOnce) {
    const int64_t count = std::min(kBlocksAtOnce, episode.blocks - first);
    std::vector<torch::Tensor> images;
    for (EpisodeFrames& camera : cameras) {
      images.push_back(torch::empty({count, side, side, 3}, torch::kUInt8));
      uint8_t* out = images.back().data_ptr<uint8_t>();
      for (int64_t i = 0; i < count; ++i) {
        const std::span<const uint8_t> image = camera.At(static_cast<int>(first + i));
        out = std::copy(image.begin(), image.end(), out);
      }
    }
    torch::Tensor proprio = torch::empty({count, kProprioDim});
    for (int64_t i = 0; i < count; ++i) {
      std::copy(episode.proprio[first + i].begin(), episode.proprio[first + i].end(),
                proprio.data_ptr<float>() + i * kProprioDim);
    }
    parts.push_back(net->EncodeBlocks(images, proprio));
  }
  return torch::cat(parts);
}

void EncodedDemos::Behind(VlaNet& net) {
  std::string bytes;
  for (const auto& item : net->named_parameters()) {
    if (!IsEncoder(item.key())) continue;
    const torch::Tensor values = item.value().detach().to(torch::kFloat32).contiguous();
    bytes.append(static_cast<const char*>(values.data_ptr()), values.nbytes());
  }
  const std::string hash = HashHex(bytes);
  if (hash != encoders_) episodes_.clear();
  encoders_ = hash;
}

torch::Tensor EncodedDemos::Of(VlaNet& net, const DemoEpisode& episode) {
  torch::Tensor& encoded = episodes_[episode.where];
  if (!encoded.defined()) encoded = EncodeEpisode(net, episode).to(torch::kFloat16);
  return encoded;
}

std::shared_ptr<EncodedDemos> MakeEncodedDemos() { return std::make_shared<EncodedDemos>(); }

}  // namespace kvla
