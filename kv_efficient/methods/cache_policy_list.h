// The explicit list of cache methods. No torch in this header.
#ifndef KVLA_KV_EFFICIENT_METHODS_CACHE_POLICY_LIST_H_
#define KVLA_KV_EFFICIENT_METHODS_CACHE_POLICY_LIST_H_

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "kv_efficient/cache_config.h"

namespace kvla {

class CachePolicy;

struct CachePolicyInfo {
  std::string name;
  std::string help;
  bool cue_hint = false;              // told where the cue is: an upper bound, no method
  std::vector<std::string> settings;  // CacheConfig fields it reads beside the window's
};

const std::vector<CachePolicyInfo>& CachePolicies();

// Checks `config` and makes its method. `gated` loads config.gate (the caller has resolved the path
// and may have left it relative to the working directory) and checks it against the geometry and
// chunk size.
Result<std::unique_ptr<CachePolicy>> MakeCachePolicy(const CacheConfig& config,
                                                     const CacheGeometry& geometry);

// Says when an arm keeps chunks in another way than its gate was trained to choose them for. Empty:
// no such thing, no gate, or one that does not say (or cannot be read: MakeCachePolicy() says
// that).
std::string GateKeepWarning(const CacheConfig& config);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_CACHE_POLICY_LIST_H_
