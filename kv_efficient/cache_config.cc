#include "kv_efficient/cache_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "kv_efficient/methods/cache_policy_list.h"
#include "kv_efficient/schedule.h"

namespace kvla {
namespace {

// Fields that differ from their defaults.
std::vector<std::string> ChangedSettings(const CacheConfig& c) {
  const CacheConfig d;
  std::vector<std::string> changed;
  if (c.keep != d.keep) changed.push_back("keep");
  if (c.threshold != d.threshold) changed.push_back("threshold");
  if (c.budget_chunks != d.budget_chunks) changed.push_back("budget_chunks");
  if (c.sink_chunks != d.sink_chunks) changed.push_back("sink_chunks");
  if (c.keep_rate != d.keep_rate) changed.push_back("keep_rate");
  if (c.gate != d.gate) changed.push_back("gate");
  return changed;
}

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Status ValidateCacheConfig(const CacheConfig& c) {
  const CachePolicyInfo* info = nullptr;
  std::vector<std::string> names;
  for (const CachePolicyInfo& p : CachePolicies()) {
    names.push_back(p.name);
    if (p.name == c.policy) info = &p;
  }
  if (info == nullptr) {
    return BadInput(
        fmt::format("cache: unknown policy '{}'; there are {}", c.policy, fmt::join(names, ", ")));
  }
  for (const std::string& setting : ChangedSettings(c)) {
    if (Contains(info->settings, setting)) continue;
    std::vector<std::string> readers;
    for (const CachePolicyInfo& p : CachePolicies()) {
      if (Contains(p.settings, setting)) readers.push_back(p.name);
    }
    return BadInput(fmt::format("cache: policy '{}' does not read '{}' (read by {}); remove it",
                                c.policy, setting, fmt::join(readers, ", ")));
  }
  if (c.window_blocks < 0 || c.chunk_blocks < 1) {
    return BadInput(
        fmt::format("cache: window_blocks {} must be 0 or more and chunk_blocks {} 1 or more",
                    c.window_blocks, c.chunk_blocks));
  }
  if (c.keep != "whole" && c.keep != "compressed") {
    return BadInput(fmt::format("cache: keep is '{}'; it must be 'whole' or 'compressed'", c.keep));
  }
  if (c.policy == "random" && c.budget_chunks > 0 && c.keep_rate != CacheConfig().keep_rate) {
    return BadInput(
        "cache: 'keep_rate' and 'budget_chunks' contradict each other for 'random': a rate keeps "
        "each chunk by chance, a budget keeps that many drawn evenly; set one of them");
  }
  if (c.policy == "gated" && c.gate.empty()) {
    return BadInput("cache: policy 'gated' needs 'gate', the file of a trained gate");
  }
  return {};
}

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
  if (g.instruction_tokens < 0 || g.age_clamp_blocks < 0 || g.rope_theta <= 1) {
    return BadInput(
        "cache geometry: instruction_tokens and age_clamp_blocks must not be negative, "
        "rope_theta must be above 1");
  }
  return {};
}

std::string CueCoverageWarning(const CacheConfig& c,
                               const std::vector<std::pair<int, int>>& cue_blocks,
                               int decision_block) {
  const int window_begin = BlockSchedule(c).NearBegin(decision_block);
  for (const auto& [begin, end] : cue_blocks) {
    if (begin >= decision_block) continue;  // of a later decision
    // `full` holds the cue because it holds everything; every other method must choose.
    if (c.policy != "full" && end > window_begin) {
      return fmt::format(
          "the window (from block {}) still reaches the cue (blocks {} to {}) at the "
          "decision (block {}): no method has to remember anything",
          window_begin, begin, end - 1, decision_block);
    }
    if (c.policy == "sink_window" && begin < c.sink_chunks * c.chunk_blocks) {
      return fmt::format(
          "the first {} blocks, which sink_window always keeps, cover the cue (blocks "
          "{} to {})",
          c.sink_chunks * c.chunk_blocks, begin, end - 1);
    }
  }
  return {};
}

}  // namespace kvla
