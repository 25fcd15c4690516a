// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/methods/tokens/token_retention.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace kvla {
namespace {

constexpr int64_t kValueBytes = sizeof(float);

// What each head of a layer has for sure of its share, where heads compete (Ada-KV's alpha).
constexpr double kSafeShare = 0.2;

// Of one lane and chunk: offsets of its tokens, ascending.
struct Held {
  std::vector<int> kept;
  bool lost = false;
};
using LaneChoice = std::map<int, Held>;  // by chunk

struct Candidate {
  float score = 0;
  int lane = 0;
  FarToken token;
  int64_t place = 0;  // in the lane's Competing()
};

// By score; of equals the newer.
bool Before(const Candidate& a, const Candidate& b) {
  if (a.score != b.score) return a.score > b.score;
  if (a.token.chunk != b.token.chunk) return a.token.chunk > b.token.chunk;
  return a.token.offset != b.token.offset ? a.token.offset > b.token.offset : a.lane < b.lane;
}

// Which candidates, in the order of their scores, find room for `lanes` lanes together: until one
// does not. A token costs what its chunk's page grows by.
std::vector<char> Chosen(std::span<const Candidate> candidates, const Budget& budget,
                         int64_t lane_room, int lanes) {
  std::vector<char> chosen(candidates.size(), 0);
  std::map<std::pair<int, int>, int> tokens;  // by lane and chunk
  const auto price = [&](const Candidate& c) {
    const int held = tokens[{c.lane, c.token.chunk}];
    return budget.Cost(held + 1) - budget.Cost(held);
  };
  const auto take = [&](size_t i) {
    chosen[i] = 1;
    ++tokens[{candidates[i].lane, candidates[i].token.chunk}];
  };
  int64_t spent = 0;
  if (lanes > 1) {
    // One token at least.
    const auto safe =
        std::max(budget.Cost(1), static_cast<int64_t>(kSafeShare * static_cast<double>(lane_room)));
    std::map<int, int64_t> left;  // by lane
    for (size_t i = 0; i < candidates.size(); ++i) {
      int64_t& room = left.emplace(candidates[i].lane, safe).first->second;
      const int64_t cost = price(candidates[i]);
      if (cost > room) {
        room = 0;
        continue;
      }
      room -= cost;
      spent += cost;
      take(i);
    }
  }
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (chosen[i] != 0) continue;
    const int64_t cost = price(candidates[i]);
    if (spent + cost > lane_room * lanes) break;
    spent += cost;
    take(i);
  }
  return chosen;
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

TokenRetention::TokenRetention(const CacheConfig& config, const CacheGeometry& geometry,
                               std::optional<float> threshold)
    : CachePolicy({.threshold = threshold}),
      geometry_(geometry),
      budget_(config, geometry),
      by_layer_(config.budget_of == "layer"),
      chunk_blocks_(config.chunk_blocks),
      most_left_(config.schedule().LeftChunks(geometry.max_blocks)) {}

std::vector<FarToken> TokenRetention::Competing(const ChunkView& chunk,
                                                const LaneState& lane) const {
  std::vector<FarToken> tokens(lane.far.begin(), lane.far.end());
  for (int i = 0; i < chunk_tokens(); ++i) {
    const int block = chunk.first_block + i / geometry_.tokens_per_block;
    tokens.push_back({chunk.chunk, i, 1, static_cast<float>(block)});
  }
  return tokens;
}

// Scores; the best of a lane, or of a layer's lanes together, while there is room; a decision for
// every chunk of which a lane gives something up; then what is kept may be fitted anew.
Plan TokenRetention::PlanLeaving(const ChunkView& chunk, const FarState& state) {
  const int tokens = chunk_tokens();
  const std::vector<std::vector<float>> scores = ScoreTokens(chunk, state);
  last_scored_ = 0;
  for (const std::vector<float>& of : scores) last_scored_ += std::ssize(of);
  const int lanes = static_cast<int>(state.lanes.size());
  const int group = by_layer_ ? geometry_.kv_heads : 1;
  const int64_t room = Room(chunk.chunk + 1);
  std::vector<LaneChoice> choices(lanes);
  std::vector<std::vector<int64_t>> kept_places(lanes);
  for (int first = 0; first < lanes; first += group) {
    std::vector<Candidate> candidates;
    for (int lane = first; lane < first + group; ++lane) {
      const std::vector<FarToken> competing = Competing(chunk, state.lanes[lane]);
      for (size_t i = 0; i < competing.size(); ++i) {
        const FarToken& token = competing[i];
        if (token.chunk < 0 || !token.original()) continue;
        if (keeps(scores[lane][i])) {
          candidates.push_back({scores[lane][i], lane, token, static_cast<int64_t>(i)});
        } else {
          choices[lane][token.chunk].lost = true;
        }
      }
    }
    std::ranges::sort(candidates, Before);
    const std::vector<char> chosen = Chosen(candidates, budget_, room, group);
    for (size_t i = 0; i < candidates.size(); ++i) {
      Held& held = choices[candidates[i].lane][candidates[i].token.chunk];
      if (chosen[i] != 0) {
        held.kept.insert(std::ranges::upper_bound(held.kept, candidates[i].token.offset),
                         candidates[i].token.offset);
        kept_places[candidates[i].lane].push_back(candidates[i].place);
      } else {
        held.lost = true;
      }
    }
  }
  std::map<int, int> changed = {{chunk.chunk, 0}};  // chunk: tokens that all lanes keep of it
  for (const LaneChoice& choice : choices) {
    for (const auto& [number, held] : choice) {
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
  for (int lane = 0; lane < lanes; ++lane) {
    const auto lost = [](const auto& held) { return held.second.lost; };
    if (std::ranges::none_of(choices[lane], lost)) continue;
    std::ranges::sort(kept_places[lane]);
    plan.lanes[lane].fit = FitKept(lane, chunk, state.lanes[lane], kept_places[lane]);
  }
  return plan;
}

int64_t TokenRetention::scored_tokens() const {
  if (!budget_.limited()) return last_scored_;
  return int64_t{geometry_.lanes()} *
         (budget_.MostTokens(most_left_, chunk_tokens()) + chunk_tokens());
}

MethodCost TokenRetention::cost() const {
  const int64_t scores = scored_tokens();
  const int64_t rows = needs().far_keys_values ? 2 * scores * geometry_.head_dim : 0;
  const auto of_lane = std::max(1.0, static_cast<double>(scores) / geometry_.lanes());
  // A comparison counts as an operation.
  return {.transient_bytes = (scores + rows) * kValueBytes,
          .plan_flops = static_cast<double>(scores) * (1 + std::log2(of_lane))};
}

}  // namespace kvla
