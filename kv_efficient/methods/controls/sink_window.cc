// SPDX-License-Identifier: Apache-2.0
// The window and the first chunks (attention sinks: Xiao et al., StreamingLLM, arXiv 2309.17453).
#include "kv_efficient/methods/cache_config.h"
#include "kv_efficient/methods/controls/by_clock.h"
#include "kv_efficient/methods/method_table.h"

namespace kvla {

CacheMethod SinkWindowMethod() {
  CacheMethod method{"sink_window", "keeps also the first chunks", {"sink_chunks", "keep"}};
  method.first_chunks = [](const CacheConfig& config) { return config.sink_chunks; };
  method.make = [](const CacheConfig& config, const CacheGeometry&) {
    return Result<std::unique_ptr<CachePolicy>>(std::make_unique<FixedBand>(
        KeepAction(config.keep), 0, config.sink_chunks, ReasonCode::kSink));
  };
  return method;
}

}  // namespace kvla
