// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/cache_geometry.h"

#include <fmt/format.h>

#include <cmath>

namespace kvla {

Status ValidateCacheGeometry(const CacheGeometry& g) {
  if (g.layers < 1 || g.heads < 1 || g.kv_heads < 1 || g.head_dim < 2 || g.tokens_per_block < 1 ||
      g.max_blocks < 1) {
    return BadInput(
        "cache geometry: layers, heads, kv_heads, tokens_per_block and max_blocks must "
        "be 1 or more, head_dim 2 or more");
  }
  if (g.heads % g.kv_heads != 0) {
    return BadInput(fmt::format("cache geometry: {} heads cannot be shared by {} KV heads", g.heads,
                                g.kv_heads));
  }
  if (g.head_dim % 2 != 0) {
    return BadInput(
        fmt::format("cache geometry: head_dim {} must be even for rotary positions", g.head_dim));
  }
  const bool turns = std::isfinite(g.rope_theta) && g.rope_theta > 1;
  if (g.positions_per_block < 1) {
    return BadInput("cache geometry: positions_per_block must be 1 or more");
  }
  if (g.instruction_tokens < 0 || g.age_clamp_blocks < 0 || (!turns && g.rope_theta != 0)) {
    return BadInput(
        "cache geometry: instruction_tokens and age_clamp_blocks must not be negative, "
        "rope_theta must be above 1, or 0 for none");
  }
  return {};
}

}  // namespace kvla
