// SPDX-License-Identifier: Apache-2.0
// What studies of caches under a language model have in common.
#ifndef KVLA_HARNESS_LANGUAGE_LANGUAGE_STUDY_H_
#define KVLA_HARNESS_LANGUAGE_LANGUAGE_STUDY_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

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

// A model, a text and the caches under comparison; a study adds what it asks.
struct LanguageStudy {
  std::string name;
  std::string model;
  std::string text;
  int threads = 1;
  std::vector<LanguageArm> arms;

  template <class V>
  void Fields(V& v) {
    v("name", name, "what the study is called");
    v("model", model, "GGUF file of a Llama");
    v("text", text, "file to read");
    v("threads", threads, Range{1, 256}, "LibTorch threads");
    v("arms", arms, "caches under comparison");
  }
};

// BadInput: no arm, two of a name, a cache that contradicts itself or does not apply to a text.
Status CheckLanguageArms(std::span<const LanguageArm> arms);

// For so many tokens.
Result<std::unique_ptr<KvCache>> MakeLanguageCache(const LanguageModel& model,
                                                   const LanguageArm& arm, int tokens);

// Paths resolved: the model, and the tokens of the text without its first bytes. Sets LibTorch's
// threads.
Status OpenLanguageStudy(const LanguageStudy& study, int skip_bytes,
                         std::unique_ptr<LanguageModel>* model, std::vector<int64_t>* text);

// "192 tokens", "4096 bytes", "0.25 of full"; empty: none.
std::string BudgetText(const CacheConfig& cache);

}  // namespace kvla

#endif  // KVLA_HARNESS_LANGUAGE_LANGUAGE_STUDY_H_
