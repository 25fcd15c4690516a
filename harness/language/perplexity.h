// SPDX-License-Identifier: Apache-2.0
// What a cache method costs a language model: the perplexity of a text, token by token, under each
// setting.
#ifndef KVLA_HARNESS_LANGUAGE_PERPLEXITY_H_
#define KVLA_HARNESS_LANGUAGE_PERPLEXITY_H_

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/config_fields.h"
#include "base/status.h"
#include "harness/language/language_study.h"
#include "kv_efficient/methods/cache_config.h"

namespace kvla {

class LanguageModel;

struct PerplexityConfig : LanguageStudy {
  PerplexityConfig() { name = "perplexity"; }

  int skip_bytes = 0;
  int tokens = 1536;
  int unscored = 512;

  template <class V>
  void Fields(V& v) {
    LanguageStudy::Fields(v);
    v("skip_bytes", skip_bytes, Range{0, 1000000000}, "of the text's beginning");
    v("tokens", tokens, Range{2, 1000000}, "tokens to read");
    v("unscored", unscored, Range{1, 999999}, "first tokens, which are read but not guessed");
  }
};

struct PerplexityRow {
  std::string name;
  CacheConfig cache;
  double perplexity = 0;  // exp of the mean negative log-likelihood of the scored tokens
  double nats = 0;        // that mean
  double nats_error = 0;  // its standard error, tokens taken as independent
  int64_t kv_bytes = 0;   // held at the end
  int64_t method_bytes = 0;
  double seconds = 0;
};

// BadInput: no arm, two of a name, a cache that contradicts itself, or fewer tokens than are
// unscored.
Status CheckPerplexityConfig(const PerplexityConfig& config);

// `ids` under one cache. `on_token` after each; false stops (kCancelled).
Result<PerplexityRow> MeasurePerplexity(LanguageModel& model, const NamedCache& arm,
                                        std::span<const int64_t> ids, int unscored,
                                        const std::function<bool(int)>& on_token);

// The whole of a checked config whose paths are resolved: arms in order. `on_token`: tokens done of
// all arms, and the arm; false stops.
Result<std::vector<PerplexityRow>> RunPerplexity(
    const PerplexityConfig& config, const std::function<bool(int, const std::string&)>& on_token);

std::string FormatPerplexity(const PerplexityConfig& config, std::span<const PerplexityRow> rows);
// {"name", "model", "text", "tokens", "unscored", "rows": [{cache, budget, storage, perplexity,
// ...}]}
nlohmann::json PerplexityJson(const PerplexityConfig& config, std::span<const PerplexityRow> rows);

}  // namespace kvla

#endif  // KVLA_HARNESS_LANGUAGE_PERPLEXITY_H_
