// SPDX-License-Identifier: Apache-2.0
// A recurrent policy's inferences: the CPU's net against LibTorch's, against neighbours in a batch,
// and against a copy that goes on.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "policy/compact/cpu/cpu_net.h"
#include "policy/compact/net/device_net.h"
#include "policy/compact/net/recurrent_feed.h"
#include "policy/compact/text/text_encoder_files.h"
#include "tests/policy/random_frames.h"
#include "tests/policy/tiny_policy.h"

namespace kvla {
namespace {

std::vector<PolicyConfig> Configs() {
  std::vector<PolicyConfig> configs(3, TinyConfig());
  for (PolicyConfig& config : configs) {
    config.memory = "recurrent";
    config.recurrent_size = 24;
  }
  configs[1].text = "minilm";
  configs[1].instruction_tokens = 3;
  configs[1].hidden_size = 40;
  configs[1].recurrent_size = 21;  // no whole panels
  configs[1].recurrent_tokens = 1;
  configs[2].age_clamp_blocks = 0;
  return configs;
}

// One episode of a net.
struct Episode {
  Episode(BlockForward& forward, const PolicyConfig& of, const torch::Tensor& instruction)
      : net(&forward), config(of) {
    const CacheGeometry geometry = GeometryOf(config, config.instruction_capacity(), 1);
    cache = *KvCache::Create(geometry, CacheConfig(), torch::kCPU);
    state = net->BeginState(instruction);
    EXPECT_TRUE(net->ReadInstruction(instruction, *cache).ok());
  }
  // What the heads read.
  std::vector<float> Feed(const Frames& frames) {
    std::vector<float> block(static_cast<size_t>(config.tokens_per_block()) * config.hidden_size);
    net->Encode(frames.pointers, block.data());
    KvCache* const caches[] = {cache.get()};
    RecurrentState* const states[] = {&state};
    const Status status = FeedRecurrent(*net, config, caches, states, block.data());
    EXPECT_TRUE(status.ok()) << status.message();
    return block;
  }

  BlockForward* net;
  PolicyConfig config;
  std::unique_ptr<KvCache> cache;
  RecurrentState state;
};

TEST(RecurrentNetTest, ComputesWhatLibTorchDoes) {
  for (const PolicyConfig& config : Configs()) {
    torch::manual_seed(3);
    VlaNet net(config);
    net->eval();
    const torch::NoGradGuard no_grad;
    CpuNet own(*net);
    DeviceNet reference(net, torch::kCPU);
    const torch::Tensor instruction = InstructionFor(config);
    Episode a(own, config, instruction), b(reference, config, instruction);
    std::vector<float> first;
    for (int block = 0; block < 7; ++block) {
      const Frames frames(config, 1, block);
      const std::vector<float> x = a.Feed(frames), y = b.Feed(frames);
      EXPECT_LT(Largest(x, y), 1e-4) << block;
      EXPECT_LT(Largest(a.state.hidden, b.state.hidden), 1e-5) << block;
      EXPECT_LT(Largest(a.state.instruction, b.state.instruction), 1e-6);
      if (block == 0) first = x;
    }
    // The same frame again: what came before it matters, by the state alone.
    const Frames again(config, 1, 0);
    RecurrentState fresh = own.BeginState(instruction);
    EXPECT_GT(Largest(a.Feed(again), first), 1e-3);
    a.state = fresh;
    EXPECT_EQ(a.Feed(again), first);
    EXPECT_EQ(a.cache->stats().cost.cached_tokens,
              config.reads_sentences() ? config.instruction_tokens : 4);
  }
}

TEST(RecurrentNetTest, AnEpisodeComesOutAlikeWhateverOthersComeWithItAndFromACopy) {
  const PolicyConfig config = Configs()[0];
  torch::manual_seed(4);
  VlaNet net(config);
  const torch::NoGradGuard no_grad;
  CpuNet own(*net);
  constexpr int kEpisodes = 5;
  const size_t size = static_cast<size_t>(config.tokens_per_block()) * config.hidden_size;
  const torch::Tensor instruction = InstructionFor(config);
  std::vector<Episode> together, alone;
  for (int e = 0; e < kEpisodes; ++e) {
    together.emplace_back(own, config, instruction);
    alone.emplace_back(own, config, instruction);
  }
  for (int block = 0; block < 6; ++block) {
    const Frames frames(config, kEpisodes, 100 + block);
    std::vector<float> blocks(kEpisodes * size);
    own.Encode(frames.pointers, blocks.data());
    std::vector<KvCache*> caches;
    std::vector<RecurrentState*> states;
    for (Episode& episode : together) {
      caches.push_back(episode.cache.get());
      states.push_back(&episode.state);
    }
    ASSERT_TRUE(FeedRecurrent(own, config, caches, states, blocks.data()).ok());
    for (int e = 0; e < kEpisodes; ++e) {
      std::vector<float> x(size);
      own.Encode({&frames.pointers[e], 1}, x.data());
      KvCache* const cache[] = {alone[e].cache.get()};
      RecurrentState* const state[] = {&alone[e].state};
      ASSERT_TRUE(FeedRecurrent(own, config, cache, state, x.data()).ok());
      EXPECT_EQ(x, std::vector<float>(blocks.begin() + static_cast<ptrdiff_t>(e * size),
                                      blocks.begin() + static_cast<ptrdiff_t>((e + 1) * size)));
      EXPECT_EQ(alone[e].state.hidden, together[e].state.hidden);
    }
    // Halfway, the lone ones go on from what was saved of the others.
    if (block != 2) continue;
    for (int e = 0; e < kEpisodes; ++e) {
      const Episode& saved = together[e];
      const CacheGeometry geometry = GeometryOf(config, config.instruction_capacity(), 1);
      alone[e].cache = *KvCache::Create(geometry, CacheConfig(), torch::kCPU);
      ASSERT_TRUE(alone[e].cache->Restore(saved.cache->Save()).ok());
      alone[e].state = saved.state;
    }
  }
}

}  // namespace
}  // namespace kvla
