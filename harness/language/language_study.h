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
#include "kv_efficient/methods/named_cache.h"

namespace kvla {

class KvCache;
class LanguageModel;

// A model, a text and the caches under comparison, whose window, chunks and budgets are in tokens;
// a study adds what it asks.
struct LanguageStudy {
  std::string name;
  std::string model;
  std::string text;
  int threads = 1;
  std::vector<NamedCache> arms;

  template <class V>
  void Fields(V& v) {
    v("name", name, "what the study is called");
    v("model", model, "GGUF file of a Llama");
    v("text", text, "file to read");
    v("threads", threads, Range{1, 256}, "LibTorch threads");
    v("arms", arms, "caches under comparison: a frame block is one token");
  }
};

// BadInput: no arm, two of a name, a cache that contradicts itself or does not apply to a text.
Status CheckLanguageArms(std::span<const NamedCache> arms);

// For so many tokens.
Result<std::unique_ptr<KvCache>> MakeLanguageCache(const LanguageModel& model,
                                                   const NamedCache& arm, int tokens);

// Paths resolved: the model, and the tokens of the text without its first bytes. Sets LibTorch's
// threads.
Status OpenLanguageStudy(const LanguageStudy& study, int skip_bytes,
                         std::unique_ptr<LanguageModel>* model, std::vector<int64_t>* text);

// "192 tokens", "4096 bytes", "0.25 of full"; empty: none.
std::string BudgetText(const CacheConfig& cache);

}  // namespace kvla

#endif  // KVLA_HARNESS_LANGUAGE_LANGUAGE_STUDY_H_
