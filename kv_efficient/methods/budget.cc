// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/methods/budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "base/text.h"
#include "kv_efficient/methods/method_table.h"

namespace kvla {
namespace {

constexpr int64_t kValueBytes = sizeof(float);
constexpr int64_t kMostLanes = 1 << 20;  // whose rooms may be added up

struct Setting {
  const char* name;
  bool set;
};

std::vector<Setting> BudgetSettings(const CacheConfig& c) {
  return {{"budget_chunks", c.budget_chunks > 0},
          {"budget_tokens", c.budget_tokens > 0},
          {"budget_bytes", c.budget_bytes > 0},
          {"budget_share", c.budget_share > 0}};
}

}  // namespace

Budget::Budget(const CacheConfig& c, const CacheGeometry& g) {
  layout_ = {.format = *KvFormatNamed(c.storage), .head_dim = g.head_dim};
  if (c.budget_tokens > 0) {
    unit_ = Unit::kTokens;
    room_ = c.budget_tokens;
  } else if (c.budget_bytes > 0) {
    unit_ = Unit::kBytes;
    room_ = c.budget_bytes / g.lanes();
  } else if (c.budget_share > 0) {
    unit_ = Unit::kShare;
    share_bytes_ =
        c.budget_share * 2 * kValueBytes * g.head_dim * c.chunk_blocks * g.tokens_per_block;
  }
}

int64_t Budget::Room(int left_chunks) const {
  if (!limited()) return std::numeric_limits<int64_t>::max() / kMostLanes;
  return unit_ == Unit::kShare ? static_cast<int64_t>(share_bytes_ * left_chunks) : room_;
}

int64_t Budget::Cost(int tokens) const {
  if (unit_ == Unit::kTokens) return tokens;
  if (tokens == 0) return 0;
  if (layout_.format == KvFormat::kF32) return 2 * kValueBytes * layout_.head_dim * tokens;
  KvPageLayout page = layout_;
  page.page_tokens = tokens;
  return page.bytes();
}

int Budget::MostChunks(int left_chunks, int tokens) const {
  return static_cast<int>(std::min<int64_t>(Room(left_chunks) / Cost(tokens), left_chunks));
}

int Budget::MostTokens(int left_chunks, int chunk_tokens) const {
  if (!limited()) return left_chunks * chunk_tokens;
  const int64_t most = Room(left_chunks) * chunk_tokens / Cost(chunk_tokens);
  return static_cast<int>(std::min<int64_t>(most, int64_t{left_chunks} * chunk_tokens));
}

bool SetsBudget(const CacheConfig& config) {
  return std::ranges::any_of(BudgetSettings(config), &Setting::set);
}

int KeptTokens(const CacheConfig& c, const CacheGeometry& g) {
  return (c.keep == "compressed" ? 1 : c.chunk_blocks) * g.tokens_per_block;
}

Status CheckBudgetSettings(const CacheConfig& c) {
  const CacheMethod& method = *FindCacheMethod(c.policy);
  std::vector<std::string> set, read;
  for (const Setting& setting : BudgetSettings(c)) {
    if (setting.set) set.emplace_back(setting.name);
    if (method.reads(setting.name)) read.emplace_back(setting.name);
  }
  if (set.size() > 1) {
    return BadInput(
        fmt::format("cache: {} are set beside each other; set one of them", Join(set, " and ")));
  }
  if (set.empty() && method.usual_budget > 0) {
    return BadInput(fmt::format(
        "cache: policy '{}' needs a budget, how much it keeps of what has left the window: set one "
        "of {}",
        c.policy, Join(read, ", ")));
  }
  return {};
}

Status CheckBudgetRoom(const CacheConfig& c, const CacheGeometry& g) {
  const Budget budget(c, g);
  if (!budget.limited()) return {};
  const bool chunks = FindCacheMethod(c.policy)->has_budget();
  const int piece = chunks ? KeptTokens(c, g) : 1;
  const int64_t room = budget.Room(c.schedule().LeftChunks(g.max_blocks));
  if (room >= budget.Cost(piece)) return {};
  const std::string what = !chunks             ? "a token"
                           : c.keep == "whole" ? "a chunk that is kept whole"
                                               : "a compressed chunk";
  const bool tokens = c.budget_tokens > 0;
  return BadInput(fmt::format(
      "cache: there is never room for {}: it takes {} {} in each layer and head, the budget is {}",
      what, budget.Cost(piece), tokens ? "tokens" : "bytes", room));
}

}  // namespace kvla
