// SPDX-License-Identifier: Apache-2.0
// Every token is kept: what all other methods are compared with.
#include "kv_efficient/methods/controls/constant.h"
#include "kv_efficient/methods/method_table.h"

namespace kvla {

CacheMethod FullMethod() {
  CacheMethod method{"full", "keeps every token"};
  method.keeps_all = true;
  method.make = [](const CacheConfig&, const CacheGeometry&) {
    return Result<std::unique_ptr<CachePolicy>>(
        std::make_unique<Constant>(ChunkAction::kWhole, ReasonCode::kAll));
  };
  return method;
}

}  // namespace kvla
