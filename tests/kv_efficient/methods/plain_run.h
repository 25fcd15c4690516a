// SPDX-License-Identifier: Apache-2.0
// An episode under a rule that scores tokens, by an attention that knows nothing of caches.
// Includes torch.
#ifndef KVLA_TESTS_KV_EFFICIENT_METHODS_PLAIN_RUN_H_
#define KVLA_TESTS_KV_EFFICIENT_METHODS_PLAIN_RUN_H_

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/kv_efficient/episodes.h"

namespace kvla {

using TokenSet = std::set<int>;  // of tokens of the episode, the instruction's aside

// The episode under a rule, block by block: which tokens each lane still has, and the attention
// that every token received from every block's queries.
class PlainRun {
 public:
  PlainRun(const CacheGeometry& g, const CacheConfig& c, const Episode& e)
      : g_(g), c_(c), e_(e), rotary_(TableFor(g)), held_(g.lanes()) {}

  // `score(lane, block, token)`: higher is kept; called when a chunk has left after that block.
  void Run(const std::function<double(int, int, int)>& score) {
    const int t = g_.tokens_per_block;
    const BlockSchedule schedule = c_.schedule();
    for (int block = 0; block < e_.blocks; ++block) {
      received_.emplace_back();
      for (int layer = 0; layer < g_.layers; ++layer) {
        for (int head = 0; head < g_.kv_heads; ++head) Attend(layer, head, block);
      }
      const int near = schedule.NearBegin(block + 1);
      if (near == schedule.NearBegin(block)) continue;
      std::vector<std::vector<Scored>> candidates(g_.lanes());
      for (int lane = 0; lane < g_.lanes(); ++lane) {
        std::vector<int> tokens(held_[lane].begin(), held_[lane].end());
        for (int i = schedule.NearBegin(block) * t; i < near * t; ++i) tokens.push_back(i);
        for (const int i : tokens) candidates[lane].push_back({score(lane, block, i), i, -lane});
        std::ranges::sort(candidates[lane], std::greater<>());
      }
      for (int layer = 0; layer < g_.layers; ++layer) {
        Choose(std::span(candidates).subspan(layer * g_.kv_heads, g_.kv_heads), layer);
      }
    }
  }

  const TokenSet& held(int lane) const { return held_[lane]; }
  // What `token` received in a lane from the queries of one block.
  double Received(int lane, int block, int token) const {
    const auto& of = received_[block][lane];
    const auto found = of.find(token);
    return found == of.end() ? 0 : found->second;
  }
  // Tokens of the chunk that leaves after a block, and of the one before it.
  std::pair<int, int> Leaving(int block) const {
    const int first = c_.schedule().NearBegin(block) * g_.tokens_per_block;
    return {first, first + c_.chunk_blocks * g_.tokens_per_block};
  }
  // [heads, N * T, D] of the layer.
  at::Tensor Output(int layer) const { return torch::cat(out_[layer], 1); }

 private:
  using Scored = std::tuple<double, int, int>;  // score, token, less the lane

  // Each head's best; or each one's best fifth, and then the best of all.
  void Choose(std::span<const std::vector<Scored>> candidates, int layer) {
    const auto budget = static_cast<size_t>(c_.budget_tokens);
    const bool alone = c_.budget_of == "head";
    const size_t sure = alone ? budget : budget / 5;
    std::vector<Scored> rest;
    size_t places = alone ? 0 : budget * candidates.size();
    for (size_t head = 0; head < candidates.size(); ++head) {
      TokenSet& held = held_[layer * g_.kv_heads + head];
      held.clear();
      for (size_t i = 0; i < candidates[head].size(); ++i) {
        if (i < sure) {
          held.insert(std::get<1>(candidates[head][i]));
        } else {
          rest.push_back(candidates[head][i]);
        }
      }
      if (!alone) places -= held.size();
    }
    std::ranges::sort(rest, std::greater<>());
    for (size_t i = 0; i < std::min(places, rest.size()); ++i) {
      held_[-std::get<2>(rest[i])].insert(std::get<1>(rest[i]));
    }
  }

  void Attend(int layer, int head, int block) {
    const int t = g_.tokens_per_block, n = g_.instruction_tokens, group = g_.heads / g_.kv_heads;
    const int lane = layer * g_.kv_heads + head, near = c_.schedule().NearBegin(block);
    std::vector<int64_t> far, close;
    for (int i = 0; i < n; ++i) far.push_back(i);
    for (const int token : held_[lane]) far.push_back(n + token);
    for (int token = near * t; token < (block + 1) * t; ++token) close.push_back(n + token);
    const at::Tensor q = e_.q[layer].narrow(0, head * group, group).narrow(1, block * t, t);
    const at::Tensor k = e_.k[layer][head], v = e_.v[layer][head];
    const auto turned = [&](const at::Tensor& x, const std::vector<int64_t>& positions) {
      const at::Tensor at = torch::tensor(positions, torch::kInt64);
      return Rotate(x, rotary_.Cos(at), rotary_.Sin(at));
    };
    const auto place = [&](int64_t i) { return i < n ? 0 : (i - n) / t; };
    const std::vector<int64_t> now(t, block), old(t, g_.clamps() ? g_.age_clamp_blocks : block);
    std::vector<int64_t> at_near, at_far(far.size(), 0);
    for (const int64_t i : close) at_near.push_back(place(i));
    for (size_t i = 0; !g_.clamps() && i < far.size(); ++i) at_far[i] = place(far[i]);
    const at::Tensor far_index = torch::tensor(far, torch::kInt64),
                     near_index = torch::tensor(close, torch::kInt64);
    const at::Tensor far_logits =
        torch::matmul(turned(q, old), turned(k.index_select(0, far_index), at_far).t());
    const at::Tensor near_logits =
        torch::matmul(turned(q, now), turned(k.index_select(0, near_index), at_near).t());
    const at::Tensor p =
        (torch::cat({far_logits, near_logits}, 2) / std::sqrt(static_cast<double>(g_.head_dim)))
            .softmax(2);
    out_.resize(g_.layers);
    const at::Tensor seen =
        torch::matmul(p, v.index_select(0, torch::cat({far_index, near_index})));
    if (head == 0) {
      out_[layer].push_back(seen);
    } else {
      out_[layer].back() = torch::cat({out_[layer].back(), seen});
    }
    received_[block].resize(g_.lanes());
    const at::Tensor mass = p.sum(1).sum(0);
    far.insert(far.end(), close.begin(), close.end());
    for (size_t i = 0; i < far.size(); ++i) {
      if (far[i] >= n) {
        received_[block][lane][static_cast<int>(far[i]) - n] = mass[i].item<double>();
      }
    }
  }

  const CacheGeometry& g_;
  const CacheConfig& c_;
  const Episode& e_;
  RotaryTable rotary_;
  std::vector<TokenSet> held_;
  std::vector<std::vector<std::map<int, double>>> received_;  // by block, lane
  std::vector<std::vector<at::Tensor>> out_;                  // by layer, block
};

// The tokens among which a lane chooses after a block: what it has, and the chunk that leaves.
inline std::vector<int> Candidates(const PlainRun& run, const CacheGeometry& g,
                                   const CacheConfig& c, int lane, int block) {
  std::vector<int> tokens(run.held(lane).begin(), run.held(lane).end());
  const int left = c.schedule().NearBegin(block);
  for (int i = left * g.tokens_per_block; i < (left + c.chunk_blocks) * g.tokens_per_block; ++i) {
    tokens.push_back(i);
  }
  return tokens;
}

using Score = std::function<double(int lane, int block, int token)>;

// Attention from the `blocks` newest blocks.
inline double Attention(const PlainRun& run, int lane, int newest, int blocks, int token) {
  double sum = 0;
  for (int block = std::max(0, newest - blocks + 1); block <= newest; ++block) {
    sum += run.Received(lane, block, token);
  }
  return sum;
}

struct Given {
  const PlainRun& run;
  const CacheGeometry& g;
  const CacheConfig& c;
  const Episode& e;

  int layer(int lane) const { return lane / g.kv_heads; }
  int head(int lane) const { return lane % g.kv_heads; }
};

}  // namespace kvla

#endif  // KVLA_TESTS_KV_EFFICIENT_METHODS_PLAIN_RUN_H_
