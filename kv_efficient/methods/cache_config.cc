// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/methods/cache_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/config_differences.h"
#include "base/config_io.h"
#include "base/text.h"
#include "kv_efficient/kv_format.h"
#include "kv_efficient/methods/budget.h"

namespace kvla {
namespace {

// Read by all methods.
constexpr std::array<std::string_view, 4> kCommon = {"policy", "window_blocks", "chunk_blocks",
                                                     "storage"};

}  // namespace

Status ValidateCacheConfig(const CacheConfig& c) {
  const CacheMethod* method = FindCacheMethod(c.policy);
  if (method == nullptr) {
    return BadInput(fmt::format("cache: unknown policy '{}'; there are {}", c.policy,
                                Join(CacheMethodNames(), ", ")));
  }
  for (const ConfigMember& setting : ChangedMembers(PrintConfig(CacheConfig()), PrintConfig(c))) {
    const bool common = std::ranges::find(kCommon, setting.key) != kCommon.end();
    if (common || method->reads(setting.key)) continue;
    return BadInput(fmt::format("cache: policy '{}' does not read '{}' (read by {}); remove it",
                                c.policy, setting.key, ReadersOf(setting.key)));
  }
  if (c.window_blocks < 0 || c.chunk_blocks < 1) {
    return BadInput(
        fmt::format("cache: window_blocks {} must be 0 or more and chunk_blocks {} 1 or more",
                    c.window_blocks, c.chunk_blocks));
  }
  if (!KvFormatNamed(c.storage)) {
    return BadInput(
        fmt::format("cache: storage is '{}'; it must be f32, bf16, int8 or int4", c.storage));
  }
  if (c.keep != "whole" && c.keep != "compressed") {
    return BadInput(fmt::format("cache: keep is '{}'; it must be 'whole' or 'compressed'", c.keep));
  }
  if (Status s = CheckBudgetSettings(c); !s.ok()) return s;
  return method->check ? method->check(c) : Status();
}

std::string CueCoverageWarning(const CacheConfig& c,
                               const std::vector<std::pair<int, int>>& cue_blocks,
                               int decision_block) {
  const CacheMethod* method = FindCacheMethod(c.policy);
  // What keeps everything holds the cue in any case; every other method must choose.
  if (method == nullptr || method->keeps_all) return {};
  const int window_begin = c.schedule().NearBegin(decision_block);
  const int first_blocks = method->first_chunks ? method->first_chunks(c) * c.chunk_blocks : 0;
  for (const auto& [begin, end] : cue_blocks) {
    if (begin >= decision_block) continue;  // of a later decision
    if (end > window_begin) {
      return fmt::format(
          "the window (from block {}) still reaches the cue (blocks {} to {}) at the decision "
          "(block {}): no method has to remember anything",
          window_begin, begin, end - 1, decision_block);
    }
    if (begin < first_blocks) {
      return fmt::format(
          "the first {} blocks, which {} always keeps, cover the cue (blocks {} to {})",
          first_blocks, c.policy, begin, end - 1);
    }
  }
  return {};
}

}  // namespace kvla
