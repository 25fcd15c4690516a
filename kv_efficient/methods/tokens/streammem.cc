// SPDX-License-Identifier: Apache-2.0
// StreamMem (arXiv 2508.15717): what will be asked is not known, so a fixed set of proxy queries
// asks; each head keeps the tokens that they attend to and, of each frame, one mean key and value.
// The published proxies are the words of a chat template. A policy has none: here they are the
// queries of the episode's first frame block. Means may take half of the budget, the newest
// frames' first; a chunk that is kept whole has none.
#include <algorithm>
#include <set>
#include <utility>

#include "kv_efficient/methods/tokens/queried_tokens.h"
#include "kv_efficient/query_ring.h"
#include "tensors/floats.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr int kProxyBlocks = 1;

class StreamMem : public QueriedTokens<QueryRing> {
 public:
  StreamMem(const CacheConfig& config, const CacheGeometry& geometry)
      : QueriedTokens(config, geometry, QueryRing(geometry, kProxyBlocks, QueryRing::Of::kFirst)) {}

  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<StreamMem>(*this); }
  MethodCost cost() const override {
    MethodCost cost = QueriedTokens::cost();
    const double proxies = geometry().group() * kProxyBlocks * geometry().tokens_per_block;
    cost.plan_flops += 2.0 * static_cast<double>(scored_tokens()) * proxies * geometry().head_dim;
    return cost;
  }

  // Beside the tokens the means of the newest chunks.
  Plan PlanLeaving(const ChunkView& chunk, const FarState& state) override {
    Plan plan = TokenRetention::PlanLeaving(chunk, state);
    const int next = chunk.chunk + 1, means = ChunksWithMeans(next);
    std::set<int> aged;  // whose means go
    for (const LaneState& lane : state.lanes) {
      for (const FarToken& token : lane.far) {
        const bool stays = (next - token.chunk) <= means;
        if (!token.original() && !stays) aged.insert(token.chunk);
      }
    }
    for (const ChunkDecision& decision : plan.decisions) aged.erase(decision.chunk);
    for (const int old : aged) AddUnchanged(old, state, &plan);
    for (size_t lane = 0; lane < plan.lanes.size(); ++lane) {
      for (ChunkCut& cut : plan.lanes[lane].cuts) {
        if ((next - cut.chunk) > means || !MayHaveMeans(cut, chunk, state.lanes[lane])) continue;
        cut.summarize = SummaryKind::kFrames;
        for (ChunkDecision& decision : plan.decisions) {
          if (decision.chunk != cut.chunk || decision.action != ChunkAction::kDropped) continue;
          decision.action = ChunkAction::kCompressed;
          decision.reason = ReasonCode::kWithinBudget;
        }
      }
    }
    return plan;
  }

 protected:
  std::vector<std::vector<float>> ScoreTokens(const ChunkView& chunk,
                                              const FarState& state) override {
    std::vector<std::vector<float>> scores;
    for (size_t lane = 0; lane < state.lanes.size(); ++lane) {
      const LaneState& held = state.lanes[lane];
      std::vector<float> bias;
      for (const FarToken& token : Competing(chunk, held)) {
        bias.push_back(std::log(static_cast<float>(token.count)));
      }
      const int layer = static_cast<int>(lane) / geometry().kv_heads;
      const at::Tensor q = queries().OfLane(layer, static_cast<int>(lane) % geometry().kv_heads);
      const at::Tensor logits =
          torch::matmul(q, KeysAsAsked(chunk, held).t()) / std::sqrt(geometry().head_dim);
      scores.push_back(FloatsOf((logits + torch::tensor(bias)).softmax(1).mean(0)));
    }
    return scores;
  }

  int64_t Room(int left_chunks) const override {
    if (!budget().limited()) return TokenRetention::Room(left_chunks);
    return budget().Room(left_chunks) -
           ChunksWithMeans(left_chunks) * budget().Cost(chunk_blocks());
  }

 private:
  int ChunksWithMeans(int left_chunks) const {
    if (!budget().limited()) return left_chunks;
    const int64_t most = budget().Room(left_chunks) / 2 / budget().Cost(chunk_blocks());
    return static_cast<int>(std::min<int64_t>(left_chunks, most));
  }

  // Those of the leaving chunk are made now, of an older one they are there or gone.
  bool MayHaveMeans(const ChunkCut& cut, const ChunkView& chunk, const LaneState& lane) const {
    if (cut.chunk == chunk.chunk) {
      int kept = 0;
      for (const TokenRange& range : cut.keep) kept += range.end - range.begin;
      return kept + chunk_blocks() <= chunk_tokens();
    }
    return std::ranges::any_of(
        lane.far, [&](const FarToken& t) { return t.chunk == cut.chunk && !t.original(); });
  }

  // Decides a chunk as before: every lane keeps the tokens that it holds of it.
  void AddUnchanged(int chunk, const FarState& state, Plan* plan) const {
    int kept = 0;
    for (size_t lane = 0; lane < state.lanes.size(); ++lane) {
      ChunkCut cut{.chunk = chunk};
      for (const FarToken& token : state.lanes[lane].far) {
        if (token.chunk != chunk || !token.original()) continue;
        cut.keep.push_back({token.offset, token.offset + 1});
        ++kept;
      }
      plan->lanes[lane].cuts.push_back(std::move(cut));
    }
    ChunkDecision decision = state.chunks[chunk].decision;
    if (kept == 0) {
      decision.action = ChunkAction::kDropped;
      decision.reason = ReasonCode::kOverBudget;
    }
    plan->decisions.push_back(decision);
  }
};

}  // namespace

CacheMethod StreamMemMethod() {
  return TokenMethod<StreamMem>(
      "streammem",
      "each head keeps what the first block's queries attend to, and one mean token a frame");
}

}  // namespace kvla
