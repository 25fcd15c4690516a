// SPDX-License-Identifier: Apache-2.0
// The interface of a cache method. torch.
//
// A new method: a file with a class that overrides Score() (or PlanLeaving() where one score is not
// enough) and cost(), and with what the table must know of it; a line in method_table.cc.
#ifndef KVLA_KV_EFFICIENT_METHODS_CACHE_POLICY_H_
#define KVLA_KV_EFFICIENT_METHODS_CACHE_POLICY_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "kv_efficient/far_token.h"
#include "kv_efficient/head_rows.h"
#include "kv_efficient/methods/budget.h"
#include "kv_efficient/plan.h"

namespace kvla {

// What a method uses, and so pays for.
struct Needs {
  bool keys_values = false;  // ChunkView::keys and values
  // LaneState::mass, over the queries of so many newest frame blocks; 0: of all since a token was
  // appended. Makes attention return what each token received.
  std::optional<int> attention_blocks{};
  bool far_keys_values = false;  // LaneState::keys and values
  bool queries = false;          // OnQueries()
  bool selects = false;          // SelectChunks()
  bool cue_hint = false;         // EpisodeFacts::cue_blocks; only for upper bounds
  // The window's blocks are fed again before every new one (KvCache::ReopenWindow). Whoever feeds
  // the cache keeps what they are computed from, and counts those bytes and that work.
  bool window_again = false;
};

// What a method may know of an episode before it starts.
struct EpisodeFacts {
  uint64_t stream_key = 0;  // of the episode's random streams
  // Half-open ranges of frame blocks; the caller fills them only if needs().cue_hint.
  std::vector<std::pair<int, int>> cue_blocks{};
};

// The chunk that leaves the window.
struct ChunkView {
  int chunk = 0;
  int first_block = 0;
  int blocks = 0;
  // [layers, kv_heads, blocks * tokens_per_block, head_dim], keys un-rotated: views, valid during
  // the call only. Undefined unless needs().keys_values.
  at::Tensor keys{}, values{};
};

// What one lane (layer, KV head) holds.
struct LaneState {
  std::span<const FarToken> far{};  // in order: the instruction (chunk -1), then what was kept
  // Attention that each of them, then each token of the leaving chunk, received: summed over
  // queries and the query heads of the lane. Empty unless needs().attention_blocks.
  std::vector<float> mass{};
  // [tokens, head_dim] of the same tokens, keys un-rotated, as attention reads them. Undefined
  // unless needs().far_keys_values.
  at::Tensor keys{}, values{};
};

// The queries of one KV head as its far tokens meet them: rotated and scaled, transposed.
struct FarQueries {
  const float* data = nullptr;  // [head_dim, stride]
  int rows = 0, stride = 0;
};

// What the cache holds at that moment.
struct FarState {
  // Every chunk that left before, ascending.
  std::span<const ChunkRecord> chunks{};
  std::span<const LaneState> lanes{};  // by layer * kv_heads + kv_head
};

// What is done with scores: the method's own statement. What it leaves out it does not have.
struct RetentionRule {
  ChunkAction keep = ChunkAction::kWhole;
  std::optional<float> threshold{};    // a score at or above it is kept; none: every one
  std::optional<int> budget_chunks{};  // most chunks kept at a time, the lowest score goes; 0: no
                                       // limit
  Budget budget{};                     // another limit of them
  int chunk_tokens = 0;                // of a chunk as it is kept, for `budget`

  // None: no limit.
  std::optional<int> MostChunks(int left_chunks) const;
};

// What the setting `keep` names.
inline ChunkAction KeepAction(const std::string& keep) {
  return keep == "compressed" ? ChunkAction::kCompressed : ChunkAction::kWhole;
}

// What the settings `keep` and those of a budget say.
RetentionRule RuleOf(const CacheConfig& config, const CacheGeometry& geometry);

// What a method itself costs, beside the tokens that it keeps.
struct MethodCost {
  int64_t held_bytes = 0;       // held now: weights, state, tables
  int64_t transient_bytes = 0;  // of the largest temporary of one PlanLeaving
  double plan_flops = 0;        // of one PlanLeaving
  double block_flops = 0;       // of one block's OnQueries and SelectChunks
};

// Makes plans, holds no tokens. Deterministic given its state. Not thread-safe.
class CachePolicy {
 public:
  explicit CachePolicy(RetentionRule rule = {}) : rule_(rule) {}
  virtual ~CachePolicy() = default;

  virtual Needs needs() const { return {}; }
  // A new episode: forgets all state.
  virtual void Reset(const EpisodeFacts& /*facts*/) {}
  // The queries [heads, tokens_per_block, head_dim] of a layer and block, before rotation; called
  // once for each if needs().queries.
  virtual void OnQueries(int /*layer*/, const HeadRows& /*q*/) {}
  // Of what a lane holds, the chunks that these queries read beside the instruction, ascending;
  // before the attention of every lane if needs().selects.
  virtual void SelectChunks(int /*lane*/, const FarQueries& /*q*/, std::vector<int>* /*chunks*/) {}
  // Utility of the leaving chunk: any finite number, higher is better. Called once a chunk, in
  // order.
  virtual float Score(const ChunkView& chunk) = 0;
  // Decides the leaving chunk; may cut older ones. Default: keeps() of Score(), then the budget.
  virtual Plan PlanLeaving(const ChunkView& chunk, const FarState& state);
  virtual std::unique_ptr<CachePolicy> Clone() const = 0;
  // State that Reset() and Score() leave behind; empty for methods without any.
  virtual std::vector<uint8_t> SaveState() const { return {}; }
  virtual Status RestoreState(std::span<const uint8_t> bytes);
  // No default, so that each method says what it costs.
  virtual MethodCost cost() const = 0;
  // From the next plan on; what was decided stays. A method without a threshold or a budget keeps
  // none.
  void SetRetention(float threshold, int budget_chunks) {
    if (rule_.threshold.has_value()) rule_.threshold = threshold;
    if (rule_.budget_chunks.has_value()) rule_.budget_chunks = budget_chunks;
  }

 protected:
  virtual bool keeps(float score) const {
    return !rule_.threshold.has_value() || score >= *rule_.threshold;
  }
  virtual ReasonCode reason(bool kept) const {
    if (!kept) return ReasonCode::kBelowThreshold;
    return rule_.threshold.has_value() ? ReasonCode::kAboveThreshold : ReasonCode::kWithinBudget;
  }
  // While more are `held` than the budget says, the lowest score goes, of equals the first. `plan`
  // decides the leaving chunk first, which is one of them.
  void DropOverBudget(std::vector<ChunkDecision> held, Plan* plan) const;
  const RetentionRule& rule() const { return rule_; }

 private:
  RetentionRule rule_;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_CACHE_POLICY_H_
