// SPDX-License-Identifier: Apache-2.0
// Told where the cue is: an upper bound, no method.
#include <algorithm>

#include "kv_efficient/methods/cache_config.h"
#include "kv_efficient/methods/cache_policy.h"
#include "kv_efficient/methods/method_table.h"
#include "kv_efficient/saved_state.h"

namespace kvla {
namespace {

class Oracle : public CachePolicy {
 public:
  explicit Oracle(const CacheConfig& c) : CachePolicy({.keep = KeepAction(c.keep)}) {}
  Needs needs() const override { return {.cue_hint = true}; }
  void Reset(const EpisodeFacts& facts) override { cues_ = facts.cue_blocks; }
  float Score(const ChunkView& chunk) override {
    const int end = chunk.first_block + chunk.blocks;
    return std::any_of(
               cues_.begin(), cues_.end(),
               [&](const auto& cue) { return cue.first < end && cue.second > chunk.first_block; })
               ? 1.0f
               : 0.0f;
  }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Oracle>(*this); }
  MethodCost cost() const override {
    return {.held_bytes = static_cast<int64_t>(cues_.size() * sizeof(cues_[0]))};
  }

  std::vector<uint8_t> SaveState() const override {
    ByteWriter out;
    for (const auto& [begin, end] : cues_) {
      out.Value(begin);
      out.Value(end);
    }
    return out.Take();
  }

  Status RestoreState(std::span<const uint8_t> bytes) override {
    ByteReader in(bytes);
    std::vector<std::pair<int, int>> cues;
    while (in.ok() && !in.done()) {
      auto& [begin, end] = cues.emplace_back();
      if (in.Value(&begin) && in.Value(&end) && begin >= 0 && end >= begin) continue;
      return BadInput("the saved state does not belong to the 'oracle' method");
    }
    cues_ = std::move(cues);
    return {};
  }

 protected:
  bool keeps(float score) const override { return score > 0; }
  ReasonCode reason(bool kept) const override {
    return kept ? ReasonCode::kCueHint : ReasonCode::kWindowOnly;
  }

 private:
  std::vector<std::pair<int, int>> cues_;
};

}  // namespace

CacheMethod OracleMethod() {
  CacheMethod method{"oracle",
                     "keeps the chunks of the cue, which it is told: an upper bound, no method",
                     {"keep"}};
  method.cue_hint = true;
  method.make = [](const CacheConfig& config, const CacheGeometry&) {
    return Result<std::unique_ptr<CachePolicy>>(std::make_unique<Oracle>(config));
  };
  return method;
}

}  // namespace kvla
