// SPDX-License-Identifier: Apache-2.0
// Fast KV compaction by attention matching (arXiv 2602.16284): each head keeps the keys that some
// reference query attends to most; the weights and values of what is kept are fitted, so that
// these queries receive from it what all of it gave them. References are the queries of the newest
// frame blocks; what was fitted before is what is fitted now.
#include <algorithm>
#include <cmath>
#include <utility>

#include "kv_efficient/methods/tokens/observed_attention.h"
#include "kv_efficient/methods/tokens/queried_tokens.h"
#include "kv_efficient/query_ring.h"
#include "tensors/floats.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr double kLeastWeight = 1e-3;  // a weight of 0 would be a token that is not kept
constexpr int kSweeps = 40;
// Of the values' squared change beside the squared error, relative to the queries' own weights:
// what no reference asks of stays as it was.
constexpr double kRidge = 1e-3;

class AttentionMatching : public QueriedTokens<QueryRing> {
 public:
  AttentionMatching(const CacheConfig& config, const CacheGeometry& geometry)
      : QueriedTokens(config, geometry,
                      QueryRing(geometry, kObservedBlocks, QueryRing::Of::kNewest)) {}

  std::unique_ptr<CachePolicy> Clone() const override {
    return std::make_unique<AttentionMatching>(*this);
  }
  MethodCost cost() const override {
    MethodCost cost = QueriedTokens::cost();
    const double tokens = static_cast<double>(scored_tokens());
    const double references = geometry().group() * kObservedBlocks * geometry().tokens_per_block;
    const double kept = tokens / geometry().lanes(), width = geometry().head_dim;
    // Attention twice, the Gram matrix, the sweeps, the system that gives the values.
    cost.plan_flops += 2 * tokens * references * (2 * width + kept) +
                       geometry().lanes() * kept * kept * (2 * kSweeps + kept / 3 + 2 * width);
    cost.transient_bytes += static_cast<int64_t>((references * kept + 2 * kept * kept) * 8);
    return cost;
  }

 protected:
  std::vector<std::vector<float>> ScoreTokens(const ChunkView& chunk,
                                              const FarState& state) override {
    std::vector<std::vector<float>> scores;
    for (size_t lane = 0; lane < state.lanes.size(); ++lane) {
      const Received received = Attend(static_cast<int>(lane), chunk, state.lanes[lane]);
      const std::vector<float> most = FloatsOf(std::get<0>(received.logits.softmax(1).max(0)));
      std::vector<float> score(received.instruction, 0.0F);
      score.insert(score.end(), most.begin(), most.end());
      scores.push_back(std::move(score));
    }
    return scores;
  }

  std::optional<LaneFit> FitKept(int lane, const ChunkView& chunk, const LaneState& state,
                                 std::span<const int64_t> kept) override {
    LaneFit fit;
    if (kept.empty()) return fit;
    const Received all = Attend(lane, chunk, state);
    at::Tensor at = torch::tensor(std::vector<int64_t>(kept.begin(), kept.end()), torch::kInt64);
    at -= all.instruction;
    // Every query's sum of exponentials is 1 over all tokens.
    const at::Tensor p = all.logits.softmax(1), one = torch::ones({p.size(0)}, torch::kFloat64);
    const at::Tensor old = all.weights.index_select(0, at);
    const at::Tensor unweighted = p.index_select(1, at) / old;
    const at::Tensor weights = FitWeights(unweighted, one, old);
    // Of the values: the least change that gives every query its output.
    const at::Tensor given = unweighted * weights;
    const at::Tensor x = given / given.sum(1, true);
    const at::Tensor values = all.values.index_select(0, at);
    const at::Tensor missing = torch::matmul(p, all.values) - torch::matmul(x, values);
    at::Tensor gram = torch::matmul(x.t(), x);
    gram.diagonal().add_(kRidge * gram.diagonal().mean());
    fit.values = FloatsOf(values + torch::linalg_solve(gram, torch::matmul(x.t(), missing), true));
    fit.weights = FloatsOf(weights);
    return fit;
  }

 private:
  // Of what competes, the instruction aside.
  struct Received {
    int64_t instruction = 0;
    at::Tensor logits;   // f64 [queries, tokens], weights included
    at::Tensor weights;  // f64 [tokens]
    at::Tensor values;   // f64 [tokens, head_dim]
  };
  Received Attend(int lane, const ChunkView& chunk, const LaneState& state) const {
    Received out;
    std::vector<double> weights;
    for (const FarToken& token : Competing(chunk, state)) {
      if (token.chunk < 0) {
        ++out.instruction;
      } else {
        weights.push_back(double{token.weight} * token.count);
      }
    }
    const auto count = static_cast<int64_t>(weights.size());
    const auto rest = [&](const at::Tensor& rows) {
      return rows.cpu().to(torch::kFloat64).narrow(0, out.instruction, count);
    };
    const at::Tensor q = queries()
                             .OfLane(lane / geometry().kv_heads, lane % geometry().kv_heads)
                             .to(torch::kFloat64);
    out.weights = torch::tensor(weights, torch::kFloat64);
    out.values = rest(state.values);
    out.logits = torch::matmul(q, rest(KeysAsAsked(chunk, state)).t()) /
                     std::sqrt(static_cast<double>(geometry().head_dim)) +
                 out.weights.log();
    return out;
  }

  // u >= 0 with the least ||a u - want||: coordinate descent on the normal equations.
  static at::Tensor FitWeights(const at::Tensor& a, const at::Tensor& want, const at::Tensor& old) {
    const at::Tensor product = torch::matmul(a.t(), a).contiguous();
    const at::Tensor right = torch::matmul(a.t(), want).contiguous();
    at::Tensor weights = old.clone();
    const auto gram = product.accessor<double, 2>();
    const auto b = right.accessor<double, 1>();
    auto u = weights.accessor<double, 1>();
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      for (int64_t j = 0; j < u.size(0); ++j) {
        double left = b[j];
        for (int64_t i = 0; i < u.size(0); ++i) left -= gram[j][i] * u[i];
        if (gram[j][j] <= 0) continue;  // no reference sees it
        u[j] = std::max(kLeastWeight, u[j] + left / gram[j][j]);
      }
    }
    return weights;
  }
};

}  // namespace

CacheMethod AttentionMatchingMethod() {
  return TokenMethod<AttentionMatching>(
      "attention_matching",
      "each head keeps keys that recent queries ask for, with weights and values fitted to them");
}

}  // namespace kvla
