// SPDX-License-Identifier: Apache-2.0
// Methods that look at a chunk's number alone. torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_CONTROLS_BY_CLOCK_H_
#define KVLA_KV_EFFICIENT_METHODS_CONTROLS_BY_CLOCK_H_

#include <memory>

#include "kv_efficient/methods/cache_policy.h"

namespace kvla {

// Keeps the chunks that Score() gives more than 0. `why`: the reason given for those.
class ByClock : public CachePolicy {
 public:
  ByClock(ChunkAction keep, ReasonCode why) : CachePolicy({.keep = keep}), why_(why) {}
  MethodCost cost() const override { return {}; }

 protected:
  bool keeps(float score) const override { return score > 0; }
  ReasonCode reason(bool kept) const override { return kept ? why_ : ReasonCode::kWindowOnly; }

 private:
  ReasonCode why_;
};

class FixedBand : public ByClock {
 public:
  // Keeps the chunks first .. first + count - 1.
  FixedBand(ChunkAction keep, int first, int count, ReasonCode why)
      : ByClock(keep, why), first_(first), end_(first + count) {}
  float Score(const ChunkView& chunk) override {
    return chunk.chunk >= first_ && chunk.chunk < end_ ? 1.0f : 0.0f;
  }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<FixedBand>(*this); }

 private:
  int first_, end_;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_CONTROLS_BY_CLOCK_H_
