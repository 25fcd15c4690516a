// SPDX-License-Identifier: Apache-2.0
// What a video's newest frames do not repeat, and what carries much (Kim et al., InfiniPot-V:
// Memory-Constrained KV Cache Compression for Streaming Video Understanding, arXiv 2506.15745):
// half of the budget goes to the newest quarter of the frames held and to the keys least like the
// key of the same token slot there, half to the values of the largest norm.
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include "kv_efficient/methods/tokens/token_retention.h"
#include "tensors/floats.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr int kNewestShare = 4;  // a quarter

class InfiniPotV : public TokenRetention {
 public:
  using TokenRetention::TokenRetention;
  Needs needs() const override { return {.far_keys_values = true}; }
  std::unique_ptr<CachePolicy> Clone() const override {
    return std::make_unique<InfiniPotV>(*this);
  }
  MethodCost cost() const override {
    MethodCost cost = TokenRetention::cost();
    // Norms of keys and values; a product with the keys of the newest quarter of the frames.
    const double tokens = static_cast<double>(scored_tokens()) / geometry().lanes();
    const double newest = std::max(1.0, tokens / geometry().tokens_per_block / kNewestShare);
    cost.plan_flops +=
        2.0 * static_cast<double>(scored_tokens()) * geometry().head_dim * (2 + newest);
    return cost;
  }

 protected:
  std::vector<std::vector<float>> ScoreTokens(const ChunkView& chunk,
                                              const FarState& state) override {
    std::vector<std::vector<float>> scores;
    for (const LaneState& lane : state.lanes) scores.push_back(ScoreLane(chunk, lane));
    return scores;
  }

 private:
  // The norms of the values; what has its place by its key is above all of them.
  std::vector<float> ScoreLane(const ChunkView& chunk, const LaneState& lane) const {
    const int slots = geometry().tokens_per_block;
    const std::vector<FarToken> tokens = Competing(chunk, lane);
    const size_t instruction = std::ranges::count(lane.far, -1, &FarToken::chunk);
    const size_t count = tokens.size() - instruction;
    const int frames = std::max(1, static_cast<int>(count) / slots / kNewestShare);
    const int newest = tokens.back().block() + 1 - frames;

    const auto norms = [](const at::Tensor& x) {
      return FloatsOf(torch::linalg_vector_norm(x.cpu(), 2, {-1}));
    };
    std::vector<float> scores = norms(lane.values);
    const float above = *std::ranges::max_element(scores) + 1;
    const std::vector<float> length = norms(lane.keys);
    const at::Tensor keys = lane.keys.cpu().contiguous();
    const int width = geometry().head_dim;
    const auto cosine = [&](size_t i, size_t j) {
      const float* a = keys.const_data_ptr<float>() + i * width;
      const float* b = keys.const_data_ptr<float>() + j * width;
      return std::inner_product(a, a + width, b, 0.0) /
             std::max(1e-9, double{length[i]} * length[j]);
    };

    // By its key: the newest frames' tokens first, then the rest.
    std::vector<std::pair<double, size_t>> places;
    for (size_t i = instruction; i < tokens.size(); ++i) {
      if (tokens[i].block() >= newest) {
        places.emplace_back(static_cast<double>(i) + 2, i);
        continue;
      }
      double sum = 0;
      int of = 0;
      for (size_t j = tokens.size(); j-- > instruction && tokens[j].block() >= newest;) {
        if (tokens[j].offset % slots != tokens[i].offset % slots) continue;
        sum += cosine(i, j);
        ++of;
      }
      places.emplace_back(-sum / of, i);  // the leaving chunk has every slot
    }
    std::ranges::sort(places, std::greater<>());
    const int most = MostTokens(chunk);
    const auto half = static_cast<size_t>(most - std::lround(0.5 * most));
    for (size_t i = 0; i < std::min(half, places.size()); ++i) scores[places[i].second] = above;
    return scores;
  }
};

}  // namespace

CacheMethod InfiniPotVMethod() {
  return TokenMethod<InfiniPotV>(
      "infinipot_v",
      "each head keeps what the newest frames do not repeat, and the values of the largest norm");
}

}  // namespace kvla
