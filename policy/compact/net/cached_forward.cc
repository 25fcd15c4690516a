// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/net/cached_forward.h"

#include <vector>

namespace kvla {

Status FeedInstruction(VlaNet& net, const torch::Tensor& instruction, KvCache& cache) {
  const torch::Device device = net->parameters().front().device();
  const std::vector<Qkv> layers = net->InstructionKeys(instruction.to(device));
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    Status status =
        cache.AppendInstruction(static_cast<int>(layer), layers[layer].k, layers[layer].v);
    if (!status.ok()) return status;
  }
  return {};
}

torch::Tensor FeedBlock(VlaNet& net, const torch::Tensor& block, KvCache& cache) {
  return net->decoder()->forward(block, [&cache](int layer, const Qkv& qkv) {
    return cache.Attend(layer, qkv.q, qkv.k, qkv.v);
  });
}

}  // namespace kvla
