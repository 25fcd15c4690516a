// SPDX-License-Identifier: Apache-2.0
// Tokens that stand out against what came after them (Liang et al., LagKV: Lag-Relative Information
// of the KV Cache Tells Which Tokens Are Important, arXiv 2504.04704). A partition is a chunk here.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "kv_efficient/methods/tokens/token_retention.h"
#include "kv_efficient/saved_state.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

// Below it a channel is the same throughout a partition.
constexpr double kSmallestRange = 1e-9;

// [tokens]: how unevenly the channels of `x` [tokens, head_dim] lie within the ranges that the
// tokens of `next` [n, head_dim] span.
at::Tensor LagScore(const at::Tensor& x, const at::Tensor& next) {
  const at::Tensor low = std::get<0>(next.min(0)), high = std::get<0>(next.max(0));
  return ((x - low) / (high - low).clamp_min(kSmallestRange)).std(1).softmax(0);
}

// A partition is scored, once, when the next one leaves the window; until then it is first to be
// kept. Tokens compete by their rank in their partition.
class LagKv : public TokenRetention {
 public:
  using TokenRetention::TokenRetention;
  Needs needs() const override { return {.far_keys_values = true}; }
  void Reset(const EpisodeFacts&) override { ranks_.clear(); }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<LagKv>(*this); }
  MethodCost cost() const override {
    MethodCost cost = TokenRetention::cost();
    for (const auto& [chunk, ranks] : ranks_) {
      cost.held_bytes += static_cast<int64_t>(ranks.size() * sizeof(float));
    }
    // Range, scale, deviation of keys and values of two chunks.
    cost.plan_flops +=
        2.0 * 6 * static_cast<double>(chunk_tokens()) * geometry().lanes() * geometry().head_dim;
    return cost;
  }

  std::vector<uint8_t> SaveState() const override {
    ByteWriter out;
    out.Value<uint64_t>(ranks_.size());
    for (const auto& [chunk, ranks] : ranks_) {
      out.Value(chunk);
      out.List(ranks);
    }
    return out.Take();
  }
  Status RestoreState(std::span<const uint8_t> bytes) override {
    ByteReader in(bytes);
    uint64_t chunks = 0;
    std::map<int, std::vector<float>> ranks;
    bool good = in.Value(&chunks) && chunks <= bytes.size();
    for (uint64_t i = 0; good && i < chunks; ++i) {
      int chunk = 0;
      std::vector<float> of;
      good = in.Value(&chunk) && in.List(&of) && chunk >= 0 &&
             of.size() == static_cast<size_t>(chunk_tokens()) * geometry().lanes() &&
             std::ranges::all_of(of, [](float x) { return x >= 0 && x < 1; }) &&
             ranks.emplace(chunk, std::move(of)).second;
    }
    if (!good || !in.done()) return BadInput("the saved state does not belong to 'lagkv'");
    ranks_ = std::move(ranks);
    return {};
  }

 protected:
  std::vector<std::vector<float>> ScoreTokens(const ChunkView& chunk,
                                              const FarState& state) override {
    if (chunk.chunk > 0) Rank(chunk, state);
    std::vector<std::vector<float>> scores;
    std::map<int, std::vector<float>> held;  // ranks of the chunks of which there is a token
    for (size_t lane = 0; lane < state.lanes.size(); ++lane) {
      std::vector<float> of;
      for (const FarToken& token : state.lanes[lane].far) {
        if (token.chunk < 0) {
          of.push_back(1);
          continue;
        }
        const std::vector<float>& ranks =
            held.try_emplace(token.chunk, ranks_[token.chunk]).first->second;
        const size_t at = lane * chunk_tokens() + token.offset;
        of.push_back(at < ranks.size() ? ranks[at] : 0);  // a saved state may lack a chunk
      }
      of.resize(of.size() + chunk_tokens(), 1);
      scores.push_back(std::move(of));
    }
    ranks_ = std::move(held);
    return scores;
  }

 private:
  // The chunk before the leaving one, of which each lane may have lost tokens already.
  void Rank(const ChunkView& chunk, const FarState& state) {
    const int last = chunk.chunk - 1;
    std::vector<float> ranks(state.lanes.size() * chunk_tokens(), 0);
    for (size_t lane = 0; lane < state.lanes.size(); ++lane) {
      const LaneState& of = state.lanes[lane];
      const auto is_last = [last](const FarToken& token) { return token.chunk == last; };
      const auto tokens = std::ranges::count_if(of.far, is_last);
      if (tokens == 0) continue;
      // The newest far tokens, and after them the leaving chunk.
      const auto first = static_cast<int64_t>(of.far.size()) - tokens;
      at::Tensor score = torch::zeros({tokens});
      for (const at::Tensor& rows : {of.keys.cpu(), of.values.cpu()}) {
        score += LagScore(rows.narrow(0, first, tokens),
                          rows.narrow(0, first + tokens, chunk_tokens())) /
                 2;
      }
      const float* data = score.const_data_ptr<float>();
      std::vector<int64_t> order(tokens);
      std::iota(order.begin(), order.end(), 0);
      std::ranges::stable_sort(order, {}, [data](int64_t i) { return data[i]; });
      for (int64_t rank = 0; rank < tokens; ++rank) {
        ranks[lane * chunk_tokens() + of.far[first + order[rank]].offset] =
            static_cast<float>(rank) / static_cast<float>(chunk_tokens());
      }
    }
    ranks_[last] = std::move(ranks);
  }

  std::map<int, std::vector<float>> ranks_;  // by chunk: [lanes, chunk_tokens]
};

}  // namespace

CacheMethod LagKvMethod() {
  return TokenMethod<LagKv>(
      "lagkv", "each head keeps the tokens that stand out against the chunk after theirs");
}

}  // namespace kvla
