// SPDX-License-Identifier: Apache-2.0
// Decides as `window` does; what the window holds is made anew by whoever feeds the cache, so that
// nothing that left can live on in keys and values of what stayed.
#include "kv_efficient/methods/controls/constant.h"
#include "kv_efficient/methods/method_table.h"

namespace kvla {
namespace {

class Recompute : public Constant {
 public:
  Recompute() : Constant(ChunkAction::kDropped, ReasonCode::kWindowOnly) {}
  Needs needs() const override { return {.window_again = true}; }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Recompute>(*this); }
};

}  // namespace

CacheMethod RecomputeMethod() {
  CacheMethod method{
      "recompute",
      "the window, computed anew from its frames at every inference: a control, in which nothing "
      "that left can live on in the keys and values of what stayed"};
  method.window_again = true;
  method.make = [](const CacheConfig&, const CacheGeometry&) {
    return Result<std::unique_ptr<CachePolicy>>(std::make_unique<Recompute>());
  };
  return method;
}

}  // namespace kvla
