// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/methods/cache_policy.h"

#include <algorithm>
#include <utility>

namespace kvla {

std::optional<int> RetentionRule::MostChunks(int left_chunks) const {
  std::optional<int> most;
  if (budget_chunks.value_or(0) > 0) most = budget_chunks;
  if (budget.limited()) {
    const int room = budget.MostChunks(left_chunks, chunk_tokens);
    most = std::min(most.value_or(room), room);
  }
  return most;
}

RetentionRule RuleOf(const CacheConfig& c, const CacheGeometry& g) {
  return {.keep = KeepAction(c.keep),
          .budget_chunks = c.budget_chunks,
          .budget = Budget(c, g),
          .chunk_tokens = KeptTokens(c, g)};
}

// The leaving chunk joins those that are kept, before older ones with the same score: it goes
// first.
Plan CachePolicy::PlanLeaving(const ChunkView& chunk, const FarState& state) {
  Plan plan;
  const float score = Score(chunk);
  const bool kept = keeps(score);
  plan.decisions.push_back(
      {chunk.chunk, kept ? rule_.keep : ChunkAction::kDropped, score, reason(kept)});
  if (!kept) return plan;
  std::vector<ChunkDecision> held = {plan.decisions[0]};
  for (const ChunkRecord& record : state.chunks) {
    if (record.decision.action != ChunkAction::kDropped) held.push_back(record.decision);
  }
  DropOverBudget(std::move(held), &plan);
  return plan;
}

void CachePolicy::DropOverBudget(std::vector<ChunkDecision> held, Plan* plan) const {
  const std::optional<int> most = rule_.MostChunks(plan->decisions[0].chunk + 1);
  while (most.has_value() && std::ssize(held) > *most) {
    const auto lowest = std::ranges::min_element(held, {}, &ChunkDecision::score);
    ChunkDecision dropped = *lowest;
    held.erase(lowest);
    dropped.action = ChunkAction::kDropped;
    dropped.reason = ReasonCode::kOverBudget;
    if (dropped.chunk == plan->decisions[0].chunk) {
      plan->decisions[0] = dropped;
    } else {
      plan->decisions.push_back(dropped);
    }
  }
}

Status CachePolicy::RestoreState(std::span<const uint8_t> bytes) {
  return bytes.empty() ? Status() : BadInput("the saved state belongs to another cache method");
}

}  // namespace kvla
