// SPDX-License-Identifier: Apache-2.0
// StreamMem (arXiv 2508.15717): what will be asked is not known, so a fixed set of proxy queries
// asks; each head keeps the tokens that they attend to and, of each frame, one mean key and value.
// The published proxies are the words of a chat template. A policy has none: here they are the
// queries of the episode's first frame block. Means may take half of the budget, the newest
// frames' first; a chunk that is kept whole has none.
#include <algorithm>
#include <set>
#include <utility>

#include "kv_efficient/methods/tokens/token_retention.h"
#include "kv_efficient/methods/tokens/turned_keys.h"
#include "kv_efficient/query_ring.h"
#include "kv_efficient/saved_state.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr int kProxyBlocks = 1;

class StreamMem : public TokenRetention {
 public:
  StreamMem(const CacheConfig& config, const CacheGeometry& geometry)
      : TokenRetention(config, geometry),
        proxies_(geometry, kProxyBlocks, QueryRing::Of::kFirst),
        turned_(config, geometry) {}

  Needs needs() const override { return {.far_keys_values = true, .queries = true}; }
  void Reset(const EpisodeFacts&) override { proxies_.Reset(); }
  void OnQueries(int layer, const HeadRows& q) override { proxies_.Add(layer, q); }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<StreamMem>(*this); }
  MethodCost cost() const override {
    MethodCost cost = TokenRetention::cost();
    cost.held_bytes = proxies_.bytes();
    const double queries = geometry().group() * kProxyBlocks * geometry().tokens_per_block;
    cost.plan_flops += 2.0 * static_cast<double>(scored_tokens()) * queries * geometry().head_dim;
    return cost;
  }

  std::vector<uint8_t> SaveState() const override {
    ByteWriter out;
    out.List(proxies_.counts());
    out.List(proxies_.rows());
    return out.Take();
  }
  Status RestoreState(std::span<const uint8_t> bytes) override {
    ByteReader in(bytes);
    std::vector<int64_t> counts;
    std::vector<float> rows;
    if (!in.List(&counts) || !in.List(&rows) || !in.done() ||
        !proxies_.Restore(std::move(counts), std::move(rows))) {
      return BadInput("the saved state does not belong to 'streammem' of this cache");
    }
    return {};
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
      const std::vector<FarToken> competing = Competing(chunk, state.lanes[lane]);
      const at::Tensor keys = turned_.Of(state.lanes[lane].keys, chunk, competing);
      const int layer = static_cast<int>(lane) / geometry().kv_heads;
      const at::Tensor q = proxies_.OfLane(layer, static_cast<int>(lane) % geometry().kv_heads);
      at::Tensor bias = torch::zeros({keys.size(0)});
      for (size_t i = 0; i < competing.size(); ++i) {
        bias[static_cast<int64_t>(i)] = std::log(static_cast<float>(competing[i].count));
      }
      const at::Tensor score = (torch::matmul(q, keys.t()) / std::sqrt(geometry().head_dim) + bias)
                                   .softmax(1)
                                   .mean(0)
                                   .contiguous();
      const float* data = score.const_data_ptr<float>();
      scores.emplace_back(data, data + score.numel());
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

  QueryRing proxies_;
  TurnedKeys turned_;
};

}  // namespace

CacheMethod StreamMemMethod() {
  return TokenMethod<StreamMem>(
      "streammem",
      "each head keeps what the first block's queries attend to, and one mean token a frame");
}

}  // namespace kvla
