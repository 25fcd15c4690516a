// SPDX-License-Identifier: Apache-2.0
// The window and chunks with fixed numbers: the base of the methods that go by the clock. torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_FIXED_BAND_H_
#define KVLA_KV_EFFICIENT_METHODS_FIXED_BAND_H_

#include <memory>

#include "kv_efficient/methods/cache_policy.h"

namespace kvla {

class FixedBand : public CachePolicy {
 public:
  // Keeps the chunks first .. first + count - 1. `why`: the reason given for those.
  FixedBand(ChunkAction keep, int first, int count, ReasonCode why)
      : CachePolicy({.keep = keep}), first_(first), end_(first + count), why_(why) {}
  float Score(const ChunkView& chunk) override {
    return chunk.chunk >= first_ && chunk.chunk < end_ ? 1.0f : 0.0f;
  }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<FixedBand>(*this); }
  MethodCost cost() const override { return {}; }

 protected:
  bool keeps(float score) const override { return score > 0; }
  ReasonCode reason(bool kept) const override { return kept ? why_ : ReasonCode::kWindowOnly; }

 private:
  int first_, end_;
  ReasonCode why_;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_FIXED_BAND_H_
