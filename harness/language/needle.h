// SPDX-License-Identifier: Apache-2.0
// Whether a language model finds a fact again that stood somewhere in a long text, under each
// cache.
#ifndef KVLA_HARNESS_LANGUAGE_NEEDLE_H_
#define KVLA_HARNESS_LANGUAGE_NEEDLE_H_

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/config_fields.h"
#include "base/status.h"
#include "harness/language/language_study.h"
#include "policy/language/byte_pair.h"

namespace kvla {

// The model must follow SmolLM2's chat template.
struct NeedleConfig : LanguageStudy {
  NeedleConfig() { name = "needle"; }

  std::vector<int> lengths = {512};
  std::vector<double> depths = {0, 0.25, 0.5, 0.75, 1};
  int trials = 5;
  int seed = 0;

  template <class V>
  void Fields(V& v) {
    LanguageStudy::Fields(v);
    v("lengths", lengths, "tokens of a prompt");
    v("depths", depths, "where the fact stands: 0 at the beginning, 1 at the end");
    v("trials", trials, Range{1, 100000}, "facts and passages, of each length and depth");
    v("seed", seed, Range{0, 1000000}, "of facts and passages");
  }
};

// A prompt whose answer is a number of four digits.
struct NeedlePrompt {
  std::vector<int64_t> ids;
  std::vector<int64_t> answer;  // the tokens that are right behind it
};

struct NeedleCell {
  std::string arm;
  CacheConfig cache;
  int length = 0;
  double depth = 0;
  int found = 0, trials = 0;
  int64_t kv_bytes = 0;  // held at the end, mean of the trials
};

// BadInput: no length or depth, a depth outside [0, 1], a prompt too short for fact and question,
// and what CheckLanguageArms() says.
Status CheckNeedleConfig(const NeedleConfig& config);

// `passage`: tokens of the text, as many as are needed are taken from a drawn place. BadInput:
// there are too few.
Result<NeedlePrompt> MakeNeedlePrompt(const BytePair& tokenizer, std::span<const int64_t> passage,
                                      int length, double depth, uint64_t stream);

// The whole of a checked config whose paths are resolved: by arm, length and depth. `on_trial`:
// prompts done; false stops (kCancelled).
Result<std::vector<NeedleCell>> RunNeedle(
    const NeedleConfig& config, const std::function<bool(int, const std::string&)>& on_trial);

std::string FormatNeedle(const NeedleConfig& config, std::span<const NeedleCell> cells);
// {"name", ..., "rows": [{cache, method, budget, storage, length, depth, found, trials, kv_bytes}]}
nlohmann::json NeedleJson(const NeedleConfig& config, std::span<const NeedleCell> cells);
// A heat map: arms and lengths by depth.
std::string NeedleSvg(const NeedleConfig& config, std::span<const NeedleCell> cells);

}  // namespace kvla

#endif  // KVLA_HARNESS_LANGUAGE_NEEDLE_H_
