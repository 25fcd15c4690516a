// SPDX-License-Identifier: Apache-2.0
// The one table of cache methods: config values, help texts, `kvla list`, the viewer's controls and
// the tests are made from it. No torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_METHOD_TABLE_H_
#define KVLA_KV_EFFICIENT_METHODS_METHOD_TABLE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/chunk_decision.h"
#include "base/status.h"

namespace kvla {

class CachePolicy;
struct CacheConfig;
struct CacheGeometry;

// What one file of methods/ says of its method.
struct CacheMethod {
  std::string name;
  std::string help;
  // Fields of CacheConfig that it reads beside the window's and the chunks'.
  std::vector<std::string> settings{};
  bool keeps_all = false;     // gives nothing up: the reference of all others
  bool cue_hint = false;      // told where the cue is: an upper bound, no method
  bool window_again = false;  // the decoder runs over the whole window at each inference
  // Its scores order chunks, higher is better; else they say nothing. Within [0, 1], or any number.
  bool scores = false, unit_scores = false;
  // It must have a budget: the `budget_chunks` (or `budget_tokens`, where it keeps tokens) that a
  // person who picks it in the viewer starts with. 0: it may be without.
  int usual_budget = 0;
  // A trained gate's file as it lies beside a policy's weights; empty: it has none.
  std::string gate_file{};
  // Chunks from the first on that it keeps in any case.
  std::function<int(const CacheConfig&)> first_chunks{};
  // What is wrong between its settings; may be empty.
  std::function<Status(const CacheConfig&)> check{};
  // Makes it for a config and a geometry that are valid.
  std::function<Result<std::unique_ptr<CachePolicy>>(const CacheConfig&, const CacheGeometry&)>
      make{};

  bool reads(const std::string& setting) const;
  // Settings of a running method that SetRetention() changes.
  bool has_threshold() const { return reads("threshold"); }
  bool has_budget() const { return reads("budget_chunks"); }
};

// `settings` and every way to say how many chunks are kept.
std::vector<std::string> WithBudget(std::vector<std::string> settings);

const std::vector<CacheMethod>& CacheMethods();
std::vector<std::string> CacheMethodNames();
// Null: no such method.
const CacheMethod* FindCacheMethod(const std::string& name);
// "random, gated": the methods that read a setting.
std::string ReadersOf(const std::string& setting);
// Gives a config whose method must have a budget, and has none, the usual one.
void SetUsualBudget(CacheConfig* config);

// Checks `config` and makes its method. A gate's path is resolved by the caller, or relative to the
// working directory.
Result<std::unique_ptr<CachePolicy>> MakeCachePolicy(const CacheConfig& config,
                                                     const CacheGeometry& geometry);

// What the method of a valid config can do, for those who show its decisions.
MethodTraits TraitsOf(const CacheConfig& config);

// Says when an arm keeps chunks in another way than its gate was trained to choose them for. Empty:
// no such thing, no gate, or one that does not say (or cannot be read: MakeCachePolicy() says
// that).
std::string GateKeepWarning(const CacheConfig& config);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_METHOD_TABLE_H_
