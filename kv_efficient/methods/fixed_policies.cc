#include "kv_efficient/methods/fixed_policies.h"

#include <algorithm>

#include "base/rng.h"
#include "kv_efficient/saved_state.h"

namespace kvla {
namespace {

// The same action for every chunk.
class Constant : public CachePolicy {
 public:
  Constant(ChunkAction action, ReasonCode why)
      : CachePolicy({.keep = action}), kept_(action != ChunkAction::kDropped), why_(why) {}
  float Score(const ChunkView&) override { return kept_ ? 1.0f : 0.0f; }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Constant>(*this); }
  MethodCost cost() const override { return {}; }

 protected:
  ReasonCode reason(bool) const override { return why_; }

 private:
  bool kept_;
  ReasonCode why_;
};

// Decides as `window` does; what the window holds is made anew by whoever feeds the cache.
class Recompute : public Constant {
 public:
  Recompute() : Constant(ChunkAction::kDropped, ReasonCode::kWindowOnly) {}
  Needs needs() const override { return {.window_again = true}; }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Recompute>(*this); }
};

// Keeps the first chunks.
class SinkWindow : public CachePolicy {
 public:
  explicit SinkWindow(const CacheConfig& c)
      : CachePolicy({.keep = KeepAction(c)}), sinks_(c.sink_chunks) {}
  float Score(const ChunkView& chunk) override { return chunk.chunk < sinks_ ? 1.0f : 0.0f; }
  std::unique_ptr<CachePolicy> Clone() const override {
    return std::make_unique<SinkWindow>(*this);
  }
  MethodCost cost() const override { return {}; }

 protected:
  ReasonCode reason(bool kept) const override {
    return kept ? ReasonCode::kSink : ReasonCode::kWindowOnly;
  }

 private:
  int sinks_;
};

// Keeps each chunk with a probability, or an even sample of at most `budget` chunks (reservoir
// sampling). Each chunk has a stream of its own, so that the key is all the state.
class Random : public CachePolicy {
 public:
  explicit Random(const CacheConfig& c)
      : keep_(KeepAction(c)), rate_(c.keep_rate), budget_(c.budget_chunks) {}

  void Reset(const EpisodeFacts& facts) override {
    key_ = StableHash("cache/random", facts.stream_key ^ 0xcbf29ce484222325ULL);
  }

  float Score(const ChunkView& chunk) override {
    return static_cast<float>(Stream(chunk.chunk).Uniform());
  }

  Plan PlanLeaving(const ChunkView& chunk, const FarState& state) override {
    const float score = Score(chunk);
    if (budget_ == 0) {
      const bool kept = score < rate_;
      return {{{chunk.chunk, kept ? keep_ : ChunkAction::kDropped, score, ReasonCode::kRandom}},
              {}};
    }
    std::vector<ChunkDecision> held;
    for (const ChunkRecord& r : state.chunks) {
      if (r.decision.action != ChunkAction::kDropped) held.push_back(r.decision);
    }
    if (static_cast<int>(held.size()) < budget_) {
      return {{{chunk.chunk, keep_, score, ReasonCode::kRandom}}, {}};
    }
    Rng stream = Stream(chunk.chunk);
    const int slot = stream.UniformInt(chunk.chunk + 1);
    if (slot >= budget_) {
      return {{{chunk.chunk, ChunkAction::kDropped, score, ReasonCode::kOverBudget}}, {}};
    }
    ChunkDecision out = held[slot];
    out.action = ChunkAction::kDropped;
    out.reason = ReasonCode::kOverBudget;
    return {{{chunk.chunk, keep_, score, ReasonCode::kRandom}, out}, {}};
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
  Rng Stream(int chunk) const {
    return Rng(Rng(key_ + 0x9e3779b97f4a7c15ULL * (chunk + 1)).NextU64());
  }

  ChunkAction keep_;
  double rate_;
  int budget_;
  uint64_t key_ = 0;
};

// Told where the cue is: an upper bound, no method.
class Oracle : public CachePolicy {
 public:
  explicit Oracle(const CacheConfig& c) : CachePolicy({.keep = KeepAction(c)}) {}
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
  ReasonCode reason(bool kept) const override {
    return kept ? ReasonCode::kCueHint : ReasonCode::kWindowOnly;
  }

 private:
  std::vector<std::pair<int, int>> cues_;
};

}  // namespace

ChunkAction KeepAction(const CacheConfig& config) {
  return config.keep == "compressed" ? ChunkAction::kCompressed : ChunkAction::kWhole;
}

std::unique_ptr<CachePolicy> MakeFull() {
  return std::make_unique<Constant>(ChunkAction::kWhole, ReasonCode::kAll);
}
std::unique_ptr<CachePolicy> MakeWindow() {
  return std::make_unique<Constant>(ChunkAction::kDropped, ReasonCode::kWindowOnly);
}
std::unique_ptr<CachePolicy> MakeRecompute() { return std::make_unique<Recompute>(); }
std::unique_ptr<CachePolicy> MakeSinkWindow(const CacheConfig& config) {
  return std::make_unique<SinkWindow>(config);
}
std::unique_ptr<CachePolicy> MakeRandom(const CacheConfig& config) {
  return std::make_unique<Random>(config);
}
std::unique_ptr<CachePolicy> MakeMeanPool() {
  return std::make_unique<Constant>(ChunkAction::kCompressed, ReasonCode::kPooled);
}
std::unique_ptr<CachePolicy> MakeOracle(const CacheConfig& config) {
  return std::make_unique<Oracle>(config);
}

}  // namespace kvla
