// SPDX-License-Identifier: Apache-2.0
// Chunks by chance: the control that every score has to beat at the same bytes.
#include "base/rng.h"
#include "kv_efficient/methods/cache_config.h"
#include "kv_efficient/methods/cache_policy.h"
#include "kv_efficient/methods/method_table.h"
#include "kv_efficient/saved_state.h"

namespace kvla {
namespace {

// Keeps each chunk with a probability, or an even sample within a budget (reservoir
// sampling). Each chunk has a stream of its own, so that the key is all the state.
class Random : public CachePolicy {
 public:
  Random(const CacheConfig& c, const CacheGeometry& geometry)
      : CachePolicy(RuleOf(c, geometry)), rate_(c.keep_rate) {}

  void Reset(const EpisodeFacts& facts) override {
    key_ = StableHash("cache/random", facts.stream_key ^ 0xcbf29ce484222325ULL);
  }

  // 1 less the draw that `keep_rate` is compared with, so that the highest are kept.
  float Score(const ChunkView& chunk) override { return 1 - Draw(chunk.chunk); }

  Plan PlanLeaving(const ChunkView& chunk, const FarState& state) override {
    const float score = Score(chunk);
    const ChunkAction keep = rule().keep;
    const std::optional<int> budget = rule().MostChunks(chunk.chunk + 1);
    if (!budget.has_value()) {
      const bool kept = Draw(chunk.chunk) < rate_;
      return {{{chunk.chunk, kept ? keep : ChunkAction::kDropped, score, ReasonCode::kRandom}}, {}};
    }
    std::vector<ChunkDecision> held;
    for (const ChunkRecord& r : state.chunks) {
      if (r.decision.action != ChunkAction::kDropped) held.push_back(r.decision);
    }
    if (std::ssize(held) < *budget) {
      return {{{chunk.chunk, keep, score, ReasonCode::kRandom}}, {}};
    }
    Rng stream = Stream(chunk.chunk);
    const int slot = stream.UniformInt(chunk.chunk + 1);
    if (slot >= *budget) {
      return {{{chunk.chunk, ChunkAction::kDropped, score, ReasonCode::kOverBudget}}, {}};
    }
    ChunkDecision out = held[slot];
    out.action = ChunkAction::kDropped;
    out.reason = ReasonCode::kOverBudget;
    return {{{chunk.chunk, keep, score, ReasonCode::kRandom}, out}, {}};
  }

  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Random>(*this); }
  MethodCost cost() const override { return {.held_bytes = sizeof(key_)}; }

  std::vector<uint8_t> SaveState() const override {
    ByteWriter out;
    out.Value(key_);
    return out.Take();
  }

  Status RestoreState(std::span<const uint8_t> bytes) override {
    ByteReader in(bytes);
    uint64_t key = 0;
    if (!in.Value(&key) || !in.done()) {
      return BadInput("the saved state does not belong to the 'random' method");
    }
    key_ = key;
    return {};
  }

 private:
  float Draw(int chunk) const { return static_cast<float>(Stream(chunk).Uniform()); }
  Rng Stream(int chunk) const {
    return Rng(Rng(key_ + 0x9e3779b97f4a7c15ULL * (chunk + 1)).NextU64());
  }

  double rate_;
  uint64_t key_ = 0;
};

}  // namespace

CacheMethod RandomMethod() {
  // An even sample cannot grow: what it has turned away is gone.
  CacheMethod method{"random",
                     "keeps chunks by chance",
                     {"keep_rate", "budget_chunks", "budget_tokens", "budget_bytes", "keep"}};
  method.scores = method.unit_scores = true;
  method.check = [](const CacheConfig& config) {
    if (!SetsBudget(config) || config.keep_rate == CacheConfig().keep_rate) return Status();
    return BadInput(
        "cache: 'keep_rate' and a budget contradict each other for 'random': a rate keeps each "
        "chunk by chance, a budget keeps as many as it has room for, drawn evenly; set one of "
        "them");
  };
  method.make = [](const CacheConfig& config, const CacheGeometry& geometry) {
    return Result<std::unique_ptr<CachePolicy>>(std::make_unique<Random>(config, geometry));
  };
  return method;
}

}  // namespace kvla
