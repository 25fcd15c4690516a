// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/encode_episode.h"

#include <algorithm>
#include <vector>

namespace kvla {
namespace {

constexpr int64_t kBlocksAtOnce = 64;

}  // namespace

torch::Tensor EncodeEpisode(VlaNet& net, const DemoEpisode& episode) {
  const torch::NoGradGuard no_grad;
  const int64_t side = net->config().image_size, bytes = 3 * side * side;
  std::vector<torch::Tensor> parts;
  for (int64_t first = 0; first < episode.blocks; first += kBlocksAtOnce) {
    const int64_t count = std::min(kBlocksAtOnce, episode.blocks - first);
    std::vector<torch::Tensor> images;
    for (const std::vector<uint8_t>& camera : episode.images) {
      images.push_back(torch::from_blob(const_cast<uint8_t*>(camera.data()) + first * bytes,
                                        {count, side, side, 3}, torch::kUInt8));
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

}  // namespace kvla
