// SPDX-License-Identifier: Apache-2.0
// Chunks at even distances: a clock that ticks throughout the episode.
#include <cmath>

#include "kv_efficient/methods/cache_config.h"
#include "kv_efficient/methods/controls/by_clock.h"
#include "kv_efficient/methods/method_table.h"

namespace kvla {
namespace {

class Periodic : public ByClock {
 public:
  explicit Periodic(const CacheConfig& c)
      : ByClock(KeepAction(c.keep), ReasonCode::kWithinBudget), rate_(c.keep_rate) {}

  // 1 where the count of chunks so far, times the rate, passes a whole number.
  float Score(const ChunkView& chunk) override {
    return std::floor((chunk.chunk + 1) * rate_) > std::floor(chunk.chunk * rate_) ? 1 : 0;
  }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Periodic>(*this); }

 private:
  double rate_;
};

}  // namespace

CacheMethod PeriodicMethod() {
  CacheMethod method{"periodic", "keeps chunks at even distances", {"keep_rate", "keep"}};
  method.make = [](const CacheConfig& config, const CacheGeometry&) {
    return Result<std::unique_ptr<CachePolicy>>(std::make_unique<Periodic>(config));
  };
  return method;
}

}  // namespace kvla
