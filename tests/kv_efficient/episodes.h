// SPDX-License-Identifier: Apache-2.0
// Random episodes of queries, keys and values, run through the cache and through training
// attention.
#ifndef KVLA_TESTS_KV_EFFICIENT_EPISODES_H_
#define KVLA_TESTS_KV_EFFICIENT_EPISODES_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "kv_efficient/kv_cache.h"
#include "kv_efficient/methods/method_table.h"
#include "kv_efficient/training/training_attention.h"
#include "kv_efficient/training/visibility.h"
#include "tensors/torch.h"

namespace kvla {

inline CacheGeometry SmallGeometry() {
  CacheGeometry g;
  g.layers = 2;
  g.heads = 4;
  g.kv_heads = 2;
  g.head_dim = 16;
  g.tokens_per_block = 3;
  g.max_blocks = 80;
  g.instruction_tokens = 2;
  g.age_clamp_blocks = 12;
  return g;
}

// Far tokens at one distance, and at their own.
inline std::vector<CacheGeometry> PositionRules() {
  std::vector<CacheGeometry> rules(2, SmallGeometry());
  rules[1].age_clamp_blocks = 0;
  return rules;
}

inline CacheConfig SmallConfig(const std::string& policy) {
  CacheConfig c;
  c.policy = policy;
  c.window_blocks = 6;
  c.chunk_blocks = 4;
  return c;
}

// By layer; instruction rows come first in k and v.
struct Episode {
  std::vector<at::Tensor> q;     // [heads, N*T, D]
  std::vector<at::Tensor> k, v;  // [kv_heads, I + N*T, D]
  int blocks = 0;
};

inline Episode MakeEpisode(const CacheGeometry& g, int blocks, int seed) {
  torch::manual_seed(seed);
  Episode e;
  e.blocks = blocks;
  const int64_t tokens = int64_t{blocks} * g.tokens_per_block;
  for (int layer = 0; layer < g.layers; ++layer) {
    e.q.push_back(torch::randn({g.heads, tokens, g.head_dim}) * 1.5);
    e.k.push_back(torch::randn({g.kv_heads, g.instruction_tokens + tokens, g.head_dim}));
    e.v.push_back(torch::randn({g.kv_heads, g.instruction_tokens + tokens, g.head_dim}));
  }
  return e;
}

inline std::unique_ptr<KvCache> MakeCache(const CacheGeometry& g, const CacheConfig& c,
                                          std::unique_ptr<CachePolicy> policy = nullptr) {
  if (policy == nullptr) {
    auto made = MakeCachePolicy(c, g);
    EXPECT_TRUE(made.ok()) << made.status().message();
    policy = std::move(made).value();
  }
  auto cache = KvCache::Create(g, c, std::move(policy), at::kCPU);
  EXPECT_TRUE(cache.ok()) << cache.status().message();
  return std::move(cache).value();
}

inline void BeginEpisode(KvCache& cache, const Episode& e, const EpisodeFacts& facts = {}) {
  cache.Reset(facts);
  const int64_t n = cache.geometry().instruction_tokens;
  for (int layer = 0; layer < cache.geometry().layers; ++layer) {
    const Status s =
        cache.AppendInstruction(layer, e.k[layer].narrow(1, 0, n), e.v[layer].narrow(1, 0, n));
    ASSERT_TRUE(s.ok()) << s.message();
  }
}

// Blocks [begin, end): appends to outputs[layer], each [heads, T, D].
inline void RunBlocks(KvCache& cache, const Episode& e, int begin, int end,
                      std::vector<std::vector<at::Tensor>>* outputs) {
  const CacheGeometry& g = cache.geometry();
  outputs->resize(g.layers);
  const int64_t t = g.tokens_per_block;
  for (int block = begin; block < end; ++block) {
    Status s = cache.BeginBlock();
    ASSERT_TRUE(s.ok()) << s.message();
    for (int layer = 0; layer < g.layers; ++layer) {
      const int64_t key = g.instruction_tokens + block * t;
      (*outputs)[layer].push_back(cache
                                      .Attend(layer, e.q[layer].narrow(1, block * t, t),
                                              e.k[layer].narrow(1, key, t),
                                              e.v[layer].narrow(1, key, t))
                                      .clone());
    }
    s = cache.EndBlock();
    ASSERT_TRUE(s.ok()) << s.message();
  }
}

// [layers, heads, N*T, D]
inline at::Tensor Joined(const std::vector<std::vector<at::Tensor>>& outputs) {
  std::vector<at::Tensor> layers;
  for (const auto& blocks : outputs) layers.push_back(torch::cat(blocks, 1));
  return torch::stack(layers);
}

inline at::Tensor RunEpisode(KvCache& cache, const Episode& e, const EpisodeFacts& facts = {}) {
  std::vector<std::vector<at::Tensor>> outputs;
  BeginEpisode(cache, e, facts);
  RunBlocks(cache, e, 0, e.blocks, &outputs);
  return Joined(outputs);
}

inline RotaryTable TableFor(const CacheGeometry& g) {
  return RotaryTable(g.head_dim, g.rope_theta, std::max(g.max_blocks, g.age_clamp_blocks + 1));
}

// The same by training attention, over the decisions the cache recorded; `plain` without fused
// kernels.
inline at::Tensor ReplayInTraining(const CacheGeometry& g, const CacheConfig& c, const Episode& e,
                                   const std::vector<DecisionEvent>& log, bool plain = false) {
  std::vector<int> positions(e.blocks);
  for (int i = 0; i < e.blocks; ++i) positions[i] = i;
  auto visibility = BuildVisibility(c.schedule(), g.instruction_tokens, g.tokens_per_block,
                                    positions, log, ChunkAction::kWhole);
  EXPECT_TRUE(visibility.ok()) << visibility.status().message();
  auto plan = PlanTraining({&*visibility, 1}, TableFor(g), g.age_clamp_blocks, at::kCPU);
  EXPECT_TRUE(plan.ok()) << plan.status().message();
  std::vector<at::Tensor> layers;
  for (int layer = 0; layer < g.layers; ++layer) {
    const auto attend = [&](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
      return plain ? PlainTrainingAttention(q, k, v, *plan) : TrainingAttention(q, k, v, *plan);
    };
    layers.push_back(
        attend(e.q[layer].unsqueeze(0), e.k[layer].unsqueeze(0), e.v[layer].unsqueeze(0))
            .squeeze(0));
  }
  return torch::stack(layers);
}

inline double MaxDifference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

}  // namespace kvla

#endif  // KVLA_TESTS_KV_EFFICIENT_EPISODES_H_
