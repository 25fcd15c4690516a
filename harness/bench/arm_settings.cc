// SPDX-License-Identifier: Apache-2.0
#include "harness/bench/arm_settings.h"

#include "kv_efficient/methods/method_table.h"

namespace kvla {

Result<CacheConfig> ArmOf(const std::string& method, const PolicySpec& policy,
                          const std::filesystem::path& checkpoint) {
  CacheConfig cache;
  cache.policy = method;
  cache.window_blocks = policy.window_blocks;
  cache.chunk_blocks = policy.chunk_blocks;
  if (const CacheMethod* known = FindCacheMethod(method)) {
    SetUsualBudget(&cache);
    if (known->reads("keep")) cache.keep = "compressed";
    if (known->reads("sink_chunks")) cache.sink_chunks = 2;
    if (known->reads("gate")) {
      cache.gate = (checkpoint / known->gate_file).string();
      if (method == "gated") cache.threshold = 0.8;
    }
  }
  if (Status status = ValidateCacheConfig(cache); !status.ok()) return status;
  return cache;
}

}  // namespace kvla
