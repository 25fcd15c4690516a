// SPDX-License-Identifier: Apache-2.0
#include "harness/language/language_study.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "base/files.h"
#include "kv_efficient/kv_cache.h"
#include "kv_efficient/methods/method_table.h"
#include "policy/language/language_model.h"
#include "tensors/torch.h"

namespace kvla {

std::string BudgetText(const CacheConfig& cache) {
  if (cache.budget_tokens > 0) return fmt::format("{} tokens", cache.budget_tokens);
  if (cache.budget_chunks > 0) return fmt::format("{} chunks", cache.budget_chunks);
  if (cache.budget_bytes > 0) return fmt::format("{} bytes", cache.budget_bytes);
  if (cache.budget_share > 0) return fmt::format("{:g} of full", cache.budget_share);
  return "";
}

Status CheckLanguageArms(std::span<const NamedCache> arms) {
  if (arms.empty()) return BadInput("arms: there is none");
  std::set<std::string> names;
  for (const NamedCache& arm : arms) {
    if (!names.insert(arm.name).second) {
      return BadInput(fmt::format("arms: '{}' is there twice", arm.name));
    }
    const Status valid = ValidateCacheConfig(arm.cache);
    if (!valid.ok()) return valid.In(fmt::format("arms.{}", arm.name));
    const CacheMethod* method = FindCacheMethod(arm.cache.policy);
    if (method->cue_hint || method->window_again) {
      return BadInput(
          fmt::format("arms.{}: {} does not apply to a text", arm.name, arm.cache.policy));
    }
  }
  return {};
}

Result<std::unique_ptr<KvCache>> MakeLanguageCache(const LanguageModel& model,
                                                   const NamedCache& arm, int tokens) {
  Result<std::unique_ptr<KvCache>> cache =
      KvCache::Create(model.Geometry(tokens), arm.cache, at::kCPU);
  return cache.ok() ? std::move(cache) : cache.status().In(arm.name);
}

Status OpenLanguageStudy(const LanguageStudy& study, int skip_bytes,
                         std::unique_ptr<LanguageModel>* model, std::vector<int64_t>* text) {
  const Result<std::string> read = ReadFile(study.text);
  if (!read.ok()) return read.status().In("text");
  torch::set_num_threads(study.threads);
  Result<std::unique_ptr<LanguageModel>> loaded = LanguageModel::LoadGguf(study.model);
  if (!loaded.ok()) return loaded.status().In("model");
  *model = *std::move(loaded);
  const size_t skipped = std::min(read->size(), static_cast<size_t>(skip_bytes));
  *text = (*model)->tokenizer().Encode(std::string_view(*read).substr(skipped));
  return {};
}

}  // namespace kvla
