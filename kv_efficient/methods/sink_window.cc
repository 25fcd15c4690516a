// SPDX-License-Identifier: Apache-2.0
// The window and the first chunks (attention sinks: Xiao et al., StreamingLLM, arXiv 2309.17453).
#include "kv_efficient/methods/cache_config.h"
#include "kv_efficient/methods/cache_policy.h"
#include "kv_efficient/methods/method_table.h"

namespace kvla {
namespace {

class SinkWindow : public CachePolicy {
 public:
  explicit SinkWindow(const CacheConfig& c)
      : CachePolicy({.keep = KeepAction(c.keep)}), sinks_(c.sink_chunks) {}
  float Score(const ChunkView& chunk) override { return chunk.chunk < sinks_ ? 1.0f : 0.0f; }
  std::unique_ptr<CachePolicy> Clone() const override {
    return std::make_unique<SinkWindow>(*this);
  }
  MethodCost cost() const override { return {}; }

 protected:
  bool keeps(float score) const override { return score > 0; }
  ReasonCode reason(bool kept) const override {
    return kept ? ReasonCode::kSink : ReasonCode::kWindowOnly;
  }

 private:
  int sinks_;
};

}  // namespace

CacheMethod SinkWindowMethod() {
  CacheMethod method{"sink_window", "keeps also the first chunks", {"sink_chunks", "keep"}};
  method.first_chunks = [](const CacheConfig& config) { return config.sink_chunks; };
  method.make = [](const CacheConfig& config, const CacheGeometry&) {
    return Result<std::unique_ptr<CachePolicy>>(std::make_unique<SinkWindow>(config));
  };
  return method;
}

}  // namespace kvla
