// SPDX-License-Identifier: Apache-2.0
// The same action for every chunk: the base of the methods that choose nothing. torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_CONTROLS_CONSTANT_H_
#define KVLA_KV_EFFICIENT_METHODS_CONTROLS_CONSTANT_H_

#include <memory>

#include "kv_efficient/methods/cache_policy.h"

namespace kvla {

class Constant : public CachePolicy {
 public:
  Constant(ChunkAction action, ReasonCode why) : CachePolicy({.keep = action}), why_(why) {}
  float Score(const ChunkView&) override { return 0; }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Constant>(*this); }
  MethodCost cost() const override { return {}; }

 protected:
  ReasonCode reason(bool) const override { return why_; }

 private:
  ReasonCode why_;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_CONTROLS_CONSTANT_H_
