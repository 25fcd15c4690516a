// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/methods/tokens/turned_keys.h"

#include <cstdint>
#include <vector>

#include "tensors/torch.h"

namespace kvla {

TurnedKeys::TurnedKeys(const CacheConfig& config, const CacheGeometry& geometry)
    : clamp_(geometry.age_clamp_blocks),
      schedule_(config.schedule()),
      rotary_(std::make_shared<RotaryTable>(geometry.head_dim, geometry.rope_theta,
                                            1 + (clamp_ > 0 ? clamp_ : geometry.max_blocks),
                                            geometry.positions_per_block)) {}

at::Tensor TurnedKeys::Of(const at::Tensor& keys, const ChunkView& chunk,
                          std::span<const FarToken> competing) const {
  if (clamp_ > 0) return RotateBack(keys.cpu(), *rotary_, torch::tensor({int64_t{clamp_}}));
  const int64_t next = schedule_.LeavesAfter(chunk.chunk) + 1;
  std::vector<int64_t> distances;
  for (const FarToken& token : competing) distances.push_back(next - token.block());
  return RotateBack(keys.cpu(), *rotary_, torch::tensor(distances, torch::kInt64));
}

}  // namespace kvla
