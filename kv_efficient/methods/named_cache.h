// SPDX-License-Identifier: Apache-2.0
// A cache under comparison. No torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_NAMED_CACHE_H_
#define KVLA_KV_EFFICIENT_METHODS_NAMED_CACHE_H_

#include <string>

#include "base/config_fields.h"
#include "kv_efficient/methods/cache_config.h"

namespace kvla {

struct NamedCache {
  std::string name;
  CacheConfig cache;

  template <class V>
  void Fields(V& v) {
    v("name", name, "what the arm is called in the table");
    v("cache", cache, "its cache");
  }
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_NAMED_CACHE_H_
