// SPDX-License-Identifier: Apache-2.0
// How much a method may hold of what has left the window. No torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_BUDGET_H_
#define KVLA_KV_EFFICIENT_METHODS_BUDGET_H_

#include <cstdint>

#include "base/status.h"
#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/kv_format.h"
#include "kv_efficient/methods/cache_config.h"

namespace kvla {

// The budget that a config sets in tokens, in bytes or as a share of what `full` would hold in f32
// of the same chunks; beside it stand the instruction and the window. Every lane (layer, KV head)
// has the same room, counted in tokens for a budget in tokens, else in bytes as they are stored.
class Budget {
 public:
  Budget() = default;  // no limit
  Budget(const CacheConfig& config, const CacheGeometry& geometry);

  bool limited() const { return unit_ != Unit::kNone; }
  // Of a lane, when so many chunks have left the window.
  int64_t Room(int left_chunks) const;
  // What `tokens` of one chunk take of it.
  int64_t Cost(int tokens) const;
  // As many chunks as there is room for, each with so many tokens. REQUIRES: limited().
  int MostChunks(int left_chunks, int tokens) const;
  // Tokens of a lane, if they lie in full chunks of so many: nowhere do more find room.
  int MostTokens(int left_chunks, int chunk_tokens) const;

 private:
  enum class Unit { kNone, kTokens, kBytes, kShare };
  Unit unit_ = Unit::kNone;
  int64_t room_ = 0;          // kTokens, kBytes
  double share_bytes_ = 0;    // kShare: of each chunk
  KvPageLayout layout_ = {};  // of a page, whatever its tokens
};

bool SetsBudget(const CacheConfig& config);
// Of a chunk as the config keeps it.
int KeptTokens(const CacheConfig& config, const CacheGeometry& geometry);
// Budgets that are set beside each other, none where the method needs one, or one in which nothing
// ever finds room, are kBadInput.
Status CheckBudgetSettings(const CacheConfig& config);
Status CheckBudgetRoom(const CacheConfig& config, const CacheGeometry& geometry);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_BUDGET_H_
