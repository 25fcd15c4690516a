#include "kv_efficient/methods/cache_policy.h"

#include <algorithm>

namespace kvla {

Plan CachePolicy::PlanLeaving(const ChunkView& chunk, const FarState& state) {
  Plan plan;
  const float score = Score(chunk);
  const bool kept = score >= rule_.threshold;
  plan.decisions.push_back(
      {chunk.chunk, kept ? rule_.keep : ChunkAction::kDropped, score, reason(kept)});
  if (!kept || rule_.budget_chunks == 0) return plan;
  int held = 1;
  ChunkDecision lowest = plan.decisions[0];
  for (const ChunkRecord& record : state.chunks) {
    if (record.decision.action == ChunkAction::kDropped) continue;
    ++held;
    if (record.decision.score < lowest.score) lowest = record.decision;
  }
  if (held <= rule_.budget_chunks) return plan;
  lowest.action = ChunkAction::kDropped;
  lowest.reason = ReasonCode::kOverBudget;
  if (lowest.chunk == chunk.chunk) {
    plan.decisions[0] = lowest;
  } else {
    plan.decisions.push_back(lowest);
  }
  return plan;
}

Status CachePolicy::RestoreState(std::span<const uint8_t> bytes) {
  return bytes.empty() ? Status() : BadInput("the saved state belongs to another cache method");
}

}  // namespace kvla
