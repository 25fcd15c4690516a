// SPDX-License-Identifier: Apache-2.0
// A cache under a language model.
#ifndef KVLA_HARNESS_LANGUAGE_LANGUAGE_ARM_H_
#define KVLA_HARNESS_LANGUAGE_LANGUAGE_ARM_H_

#include <memory>
#include <span>
#include <string>

#include "base/config_fields.h"
#include "base/status.h"
#include "kv_efficient/methods/cache_config.h"

namespace kvla {

class KvCache;
class LanguageModel;

// A cache under comparison; window, chunks and budgets are in tokens.
struct LanguageArm {
  std::string name;
  CacheConfig cache;

  template <class V>
  void Fields(V& v) {
    v("name", name, "what the setting is called in the table");
    v("cache", cache, "its cache: a frame block is one token");
  }
};

// BadInput: no arm, two of a name, a cache that contradicts itself or does not apply to a text.
Status CheckLanguageArms(std::span<const LanguageArm> arms);

// For so many tokens.
Result<std::unique_ptr<KvCache>> MakeLanguageCache(const LanguageModel& model,
                                                   const LanguageArm& arm, int tokens);

// "192 tokens", "4096 bytes", "0.25 of full"; empty: none.
std::string BudgetText(const CacheConfig& cache);

}  // namespace kvla

#endif  // KVLA_HARNESS_LANGUAGE_LANGUAGE_ARM_H_
