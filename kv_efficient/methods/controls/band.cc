// SPDX-License-Identifier: Apache-2.0
// The window and a fixed band of chunks: a clock. What a method that looks at what a chunk holds
// has to beat at the same bytes; with band_first: 0 it keeps the first chunks.
#include "kv_efficient/methods/cache_config.h"
#include "kv_efficient/methods/controls/by_clock.h"
#include "kv_efficient/methods/method_table.h"

namespace kvla {

CacheMethod BandMethod() {
  CacheMethod method{
      "band", "keeps also a fixed band of chunks", {"band_first", "band_chunks", "keep"}};
  method.first_chunks = [](const CacheConfig& config) {
    return config.band_first == 0 ? config.band_chunks : 0;
  };
  method.make = [](const CacheConfig& config, const CacheGeometry&) {
    return Result<std::unique_ptr<CachePolicy>>(std::make_unique<FixedBand>(
        KeepAction(config.keep), config.band_first, config.band_chunks, ReasonCode::kWithinBudget));
  };
  return method;
}

}  // namespace kvla
