// SPDX-License-Identifier: Apache-2.0
// Keys turned so that queries meet them as they are, before rotation. torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_TOKENS_TURNED_KEYS_H_
#define KVLA_KV_EFFICIENT_METHODS_TOKENS_TURNED_KEYS_H_

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>

#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/far_token.h"
#include "kv_efficient/methods/cache_config.h"
#include "kv_efficient/methods/cache_policy.h"
#include "kv_efficient/rotary.h"
#include "kv_efficient/schedule.h"

namespace kvla {

// Turning the keys back by their distances from the next block is turning that block's queries.
// Where far tokens are at one distance, it is the same for all.
class TurnedKeys {
 public:
  TurnedKeys(const CacheConfig& config, const CacheGeometry& geometry);

  // Of what competes when `chunk` leaves: keys [tokens, head_dim] un-rotated -> the same shape, on
  // the CPU.
  at::Tensor Of(const at::Tensor& keys, const ChunkView& chunk,
                std::span<const FarToken> competing) const;

 private:
  int clamp_;  // 0: true distances
  BlockSchedule schedule_;
  std::shared_ptr<const RotaryTable> rotary_;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_TOKENS_TURNED_KEYS_H_
