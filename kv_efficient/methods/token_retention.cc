// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/methods/token_retention.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace kvla {
namespace {

constexpr int64_t kValueBytes = sizeof(float);

// Of one lane and chunk: offsets of its tokens, ascending.
struct Held {
  std::vector<int> kept;
  bool lost = false;
};
using LaneChoice = std::map<int, Held>;  // by chunk

// The `budget` tokens of the highest score stay.
LaneChoice Choose(std::span<const FarToken> tokens, std::span<const float> scores, int budget) {
  std::vector<size_t> order;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].chunk >= 0) order.push_back(i);
  }
  std::ranges::sort(order, [&scores](size_t a, size_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a > b;
  });
  const size_t kept = std::min(order.size(), static_cast<size_t>(budget));
  std::sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(kept));
  LaneChoice choice;
  for (size_t i = 0; i < kept; ++i) {
    choice[tokens[order[i]].chunk].kept.push_back(tokens[order[i]].offset);
  }
  for (size_t i = kept; i < order.size(); ++i) choice[tokens[order[i]].chunk].lost = true;
  return choice;
}

ChunkCut CutOf(int chunk, const LaneChoice& choice) {
  ChunkCut cut{.chunk = chunk, .keep = {}};
  const auto held = choice.find(chunk);
  if (held == choice.end()) return cut;
  for (const int offset : held->second.kept) {
    if (!cut.keep.empty() && cut.keep.back().end == offset) {
      ++cut.keep.back().end;
    } else {
      cut.keep.push_back({offset, offset + 1});
    }
  }
  return cut;
}

}  // namespace

Plan TokenRetention::PlanLeaving(const ChunkView& chunk, const FarState& state) {
  const int tokens = chunk.blocks * geometry_.tokens_per_block;
  const std::vector<std::vector<float>> scores = ScoreTokens(chunk, state);
  std::vector<LaneChoice> choices;
  std::map<int, int> changed = {{chunk.chunk, 0}};  // chunk: tokens that all lanes keep of it
  for (size_t lane = 0; lane < state.lanes.size(); ++lane) {
    std::vector<FarToken> candidates(state.lanes[lane].far.begin(), state.lanes[lane].far.end());
    for (int i = 0; i < tokens; ++i) candidates.push_back({.chunk = chunk.chunk, .offset = i});
    choices.push_back(Choose(candidates, scores[lane], budget_));
    for (const auto& [number, held] : choices.back()) {
      if (held.lost) changed.emplace(number, 0);
    }
  }
  Plan plan;
  plan.lanes.resize(choices.size());
  for (auto& [number, kept] : changed) {
    for (size_t lane = 0; lane < choices.size(); ++lane) {
      plan.lanes[lane].cuts.push_back(CutOf(number, choices[lane]));
      const auto held = choices[lane].find(number);
      if (held != choices[lane].end()) kept += static_cast<int>(held->second.kept.size());
    }
    const float share = static_cast<float>(kept) / static_cast<float>(tokens * choices.size());
    plan.decisions.push_back({number, kept > 0 ? ChunkAction::kWhole : ChunkAction::kDropped, share,
                              kept > 0 ? ReasonCode::kWithinBudget : ReasonCode::kOverBudget});
  }
  return plan;
}

int64_t TokenRetention::scored_tokens() const {
  return int64_t{geometry_.lanes()} * (budget_ + chunk_blocks_ * geometry_.tokens_per_block);
}

MethodCost TokenRetention::cost() const {
  const int64_t scores = scored_tokens();
  const int64_t rows = needs().far_keys_values ? 2 * scores * geometry_.head_dim : 0;
  const auto of_lane = static_cast<double>(scores) / geometry_.lanes();
  // A comparison counts as an operation.
  return {.transient_bytes = (scores + rows) * kValueBytes,
          .plan_flops = static_cast<double>(scores) * (1 + std::log2(of_lane))};
}

}  // namespace kvla
