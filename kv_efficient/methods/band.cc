// SPDX-License-Identifier: Apache-2.0
// The window and a fixed band of chunks: a clock. What a method that looks at what a chunk holds
// has to beat at the same bytes; with band_first: 0 it keeps the first chunks.
#include "kv_efficient/methods/cache_config.h"
#include "kv_efficient/methods/cache_policy.h"
#include "kv_efficient/methods/method_table.h"

namespace kvla {
namespace {

class Band : public CachePolicy {
 public:
  explicit Band(const CacheConfig& c)
      : CachePolicy({.keep = KeepAction(c.keep)}),
        first_(c.band_first),
        end_(c.band_first + c.band_chunks) {}
  float Score(const ChunkView& chunk) override {
    return chunk.chunk >= first_ && chunk.chunk < end_ ? 1.0f : 0.0f;
  }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Band>(*this); }
  MethodCost cost() const override { return {}; }

 protected:
  bool keeps(float score) const override { return score > 0; }
  ReasonCode reason(bool kept) const override {
    return kept ? ReasonCode::kWithinBudget : ReasonCode::kWindowOnly;
  }

 private:
  int first_, end_;
};

}  // namespace

CacheMethod BandMethod() {
  CacheMethod method{
      "band", "keeps also a fixed band of chunks", {"band_first", "band_chunks", "keep"}};
  method.first_chunks = [](const CacheConfig& config) {
    return config.band_first == 0 ? config.band_chunks : 0;
  };
  method.make = [](const CacheConfig& config, const CacheGeometry&) {
    return Result<std::unique_ptr<CachePolicy>>(std::make_unique<Band>(config));
  };
  return method;
}

}  // namespace kvla
