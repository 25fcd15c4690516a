// SPDX-License-Identifier: Apache-2.0
// Every chunk that leaves becomes one token per slot, the mean over its blocks: the fixed
// aggregation that a learned one has to beat.
#include "kv_efficient/methods/controls/constant.h"
#include "kv_efficient/methods/method_table.h"

namespace kvla {

CacheMethod MeanPoolMethod() {
  CacheMethod method{"mean_pool", "compresses every old chunk to one token per slot"};
  method.make = [](const CacheConfig&, const CacheGeometry&) {
    return Result<std::unique_ptr<CachePolicy>>(
        std::make_unique<Constant>(ChunkAction::kCompressed, ReasonCode::kPooled));
  };
  return method;
}

}  // namespace kvla
