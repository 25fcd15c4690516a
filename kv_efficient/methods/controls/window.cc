// SPDX-License-Identifier: Apache-2.0
// The instruction and the newest blocks alone (sliding-window attention; Beltagy et al.,
// Longformer, arXiv 2004.05150).
#include "kv_efficient/methods/controls/constant.h"
#include "kv_efficient/methods/method_table.h"

namespace kvla {

CacheMethod WindowMethod() {
  CacheMethod method{"window", "keeps the instruction and the window"};
  method.make = [](const CacheConfig&, const CacheGeometry&) {
    return Result<std::unique_ptr<CachePolicy>>(
        std::make_unique<Constant>(ChunkAction::kDropped, ReasonCode::kWindowOnly));
  };
  return method;
}

}  // namespace kvla
