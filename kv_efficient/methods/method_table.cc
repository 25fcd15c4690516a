// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/methods/method_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/methods/budget.h"
#include "kv_efficient/methods/cache_config.h"
#include "kv_efficient/methods/cache_policy.h"

namespace kvla {

// Each in the file of its name.
CacheMethod FullMethod();
CacheMethod WindowMethod();
CacheMethod RecomputeMethod();
CacheMethod SinkWindowMethod();
CacheMethod BandMethod();
CacheMethod PeriodicMethod();
CacheMethod RandomMethod();
CacheMethod MeanPoolMethod();
CacheMethod OracleMethod();
CacheMethod KnormMethod();
CacheMethod NoveltyMethod();
CacheMethod H2oMethod();
CacheMethod TovaMethod();
CacheMethod SnapKvMethod();
CacheMethod KeyDiffMethod();
CacheMethod ExpectedAttentionMethod();
CacheMethod LagKvMethod();
CacheMethod InfiniPotVMethod();
CacheMethod ChunkKvMethod();
CacheMethod QuestMethod();
CacheMethod StreamMemMethod();
CacheMethod AttentionMatchingMethod();
CacheMethod WgKvMethod();
CacheMethod DmsMethod();
CacheMethod GatedMethod();

const std::vector<CacheMethod>& CacheMethods() {
  static const std::vector<CacheMethod> table = {
      FullMethod(),    WindowMethod(),     RecomputeMethod(), SinkWindowMethod(),
      BandMethod(),    PeriodicMethod(),   RandomMethod(),    MeanPoolMethod(),
      OracleMethod(),  KnormMethod(),      NoveltyMethod(),   H2oMethod(),
      TovaMethod(),    SnapKvMethod(),     KeyDiffMethod(),   ExpectedAttentionMethod(),
      LagKvMethod(),   InfiniPotVMethod(), StreamMemMethod(), AttentionMatchingMethod(),
      ChunkKvMethod(), QuestMethod(),      WgKvMethod(),      DmsMethod(),
      GatedMethod(),
  };
  return table;
}

std::vector<std::string> WithBudget(std::vector<std::string> settings) {
  settings.insert(settings.begin(),
                  {"budget_chunks", "budget_tokens", "budget_bytes", "budget_share"});
  return settings;
}

bool CacheMethod::reads(const std::string& setting) const {
  return std::find(settings.begin(), settings.end(), setting) != settings.end();
}

std::vector<std::string> CacheMethodNames() {
  std::vector<std::string> names;
  for (const CacheMethod& method : CacheMethods()) names.push_back(method.name);
  return names;
}

const CacheMethod* FindCacheMethod(const std::string& name) {
  const std::vector<CacheMethod>& table = CacheMethods();
  const auto found = std::ranges::find(table, name, &CacheMethod::name);
  return found == table.end() ? nullptr : &*found;
}

std::string ReadersOf(const std::string& setting) {
  std::vector<std::string> readers;
  for (const CacheMethod& method : CacheMethods()) {
    if (method.reads(setting)) readers.push_back(method.name);
  }
  return Join(readers, ", ");
}

void SetUsualBudget(CacheConfig* config) {
  const CacheMethod* method = FindCacheMethod(config->policy);
  if (method == nullptr || method->usual_budget == 0 || SetsBudget(*config)) return;
  (method->has_budget() ? config->budget_chunks : config->budget_tokens) = method->usual_budget;
}

Result<std::unique_ptr<CachePolicy>> MakeCachePolicy(const CacheConfig& config,
                                                     const CacheGeometry& geometry) {
  if (Status s = ValidateCacheConfig(config); !s.ok()) return s;
  if (Status s = ValidateCacheGeometry(geometry); !s.ok()) return s;
  if (Status s = CheckBudgetRoom(config, geometry); !s.ok()) return s;
  return FindCacheMethod(config.policy)->make(config, geometry);
}

MethodTraits TraitsOf(const CacheConfig& config) {
  MethodTraits traits;
  const CacheMethod* method = FindCacheMethod(config.policy);
  if (method == nullptr) return traits;
  traits.scores = method->scores;
  traits.unit_scores = method->unit_scores;
  if (method->has_threshold()) traits.threshold = config.threshold;
  return traits;
}

}  // namespace kvla
