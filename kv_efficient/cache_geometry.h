// SPDX-License-Identifier: Apache-2.0
// The shape of the decoder that a cache serves. No torch.
#ifndef KVLA_KV_EFFICIENT_CACHE_GEOMETRY_H_
#define KVLA_KV_EFFICIENT_CACHE_GEOMETRY_H_

#include "base/status.h"

namespace kvla {

// Equal for every arm of a study.
struct CacheGeometry {
  int layers = 0;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int tokens_per_block = 0;
  int max_blocks = 0;           // frame blocks of the longest episode
  int instruction_tokens = 0;   // at most so many; always kept
  double rope_theta = 10000.0;  // 0: keys and queries are never turned
  // Rotary positions from one block to the next. More than 1: tokens of a block lie at positions of
  // their own, by which their queries and keys come turned already; what is called un-rotated below
  // is turned by them alone.
  int positions_per_block = 1;
  // Rotary distance of every far token, in blocks; 0: its true one, as in any decoder.
  int age_clamp_blocks = 0;

  int lanes() const { return layers * kv_heads; }
  int group() const { return heads / kv_heads; }  // query heads a KV head serves
  bool clamps() const { return age_clamp_blocks > 0; }
  // Width of one token over the whole cache, as a gate reads it: keys and values of all layers and
  // KV heads.
  int gate_features() const { return 2 * lanes() * head_dim; }
};

Status ValidateCacheGeometry(const CacheGeometry& geometry);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_CACHE_GEOMETRY_H_
