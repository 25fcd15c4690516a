// SPDX-License-Identifier: Apache-2.0
// The CPU's net against the same weights under LibTorch, and a frame's bits against its neighbours.
#include "policy/compact/cpu/cpu_net.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "kv_efficient/methods/method_table.h"
#include "policy/compact/net/device_net.h"
#include "tests/policy/random_frames.h"
#include "tests/policy/tiny_policy.h"

namespace kvla {
namespace {

std::vector<PolicyConfig> Configs() {
  std::vector<PolicyConfig> configs(3, TinyConfig());
  configs[1].text = "minilm";
  configs[1].instruction_tokens = 3;
  configs[1].places = "world";
  configs[1].way = "choose";
  configs[1].cue_orders = 3;
  configs[1].hidden_size = 40;  // heads of 10, no whole panels
  configs[1].num_target_classes = 7;
  configs[2].image_size = 64;
  configs[2].num_kv_heads = 4;
  configs[2].camera_tokens = {1, 3};
  configs[2].replan_steps = 3;
  return configs;
}

std::unique_ptr<KvCache> MakeCache(const PolicyConfig& config, const std::string& method) {
  CacheConfig settings;
  settings.policy = method;
  settings.window_blocks = 2;
  settings.chunk_blocks = 1;
  const CacheGeometry geometry = GeometryOf(config, config.instruction_capacity(), 40);
  return *KvCache::Create(geometry, settings, *MakeCachePolicy(settings, geometry), torch::kCPU);
}

TEST(CpuNetTest, ComputesWhatLibTorchDoes) {
  for (const PolicyConfig& config : Configs()) {
    torch::manual_seed(3);
    VlaNet net(config);
    net->eval();
    const torch::NoGradGuard no_grad;
    CpuNet own(*net);
    DeviceNet reference(net, torch::kCPU);
    const torch::Tensor instruction = InstructionFor(config);
    const std::unique_ptr<KvCache> a = MakeCache(config, "mean_pool");
    const std::unique_ptr<KvCache> b = MakeCache(config, "mean_pool");
    ASSERT_TRUE(own.ReadInstruction(instruction, *a).ok());
    ASSERT_TRUE(reference.ReadInstruction(instruction, *b).ok());
    for (int block = 0; block < 7; ++block) {
      const Frames frames(config, 1, block);
      const size_t size = static_cast<size_t>(config.tokens_per_block()) * config.hidden_size;
      std::vector<float> x(size), y(size);
      own.Encode(frames.pointers, x.data());
      reference.Encode(frames.pointers, y.data());
      EXPECT_LT(Largest(x, y), 2e-5) << block;
      for (const auto& [forward, cache, values] :
           {std::tuple<BlockForward*, KvCache*, float*>{&own, a.get(), x.data()},
            {&reference, b.get(), y.data()}}) {
        ASSERT_TRUE(cache->BeginBlock().ok());
        forward->Feed({&cache, 1}, values);
        ASSERT_TRUE(cache->EndBlock().ok());
      }
      EXPECT_LT(Largest(x, y), 1e-4) << block;
      std::vector<BlockForward::Targets> got(1), want(1);
      own.Act(frames.pointers, x.data(), got);
      reference.Act(frames.pointers, x.data(), want);
      ASSERT_EQ(got[0].size(), static_cast<size_t>(config.replan_steps));
      for (size_t step = 0; step < got[0].size(); ++step) {
        for (size_t i = 0; i < kTargetDim; ++i) {
          EXPECT_NEAR(got[0][step][i], want[0][step][i], 1e-5) << block << " " << step << " " << i;
        }
      }
    }
  }
}

TEST(CpuNetTest, AFrameComesOutAlikeWhateverOthersComeWithIt) {
  const PolicyConfig config = TinyConfig();
  torch::manual_seed(4);
  VlaNet net(config);
  const torch::NoGradGuard no_grad;
  CpuNet own(*net);
  constexpr int kEpisodes = 5;
  const size_t size = static_cast<size_t>(config.tokens_per_block()) * config.hidden_size;
  const torch::Tensor instruction = InstructionFor(config);
  std::vector<std::unique_ptr<KvCache>> together, alone;
  for (int e = 0; e < kEpisodes; ++e) {
    for (auto* caches : {&together, &alone}) {
      caches->push_back(MakeCache(config, e % 2 == 0 ? "full" : "window"));
      ASSERT_TRUE(own.ReadInstruction(instruction, *caches->back()).ok());
    }
  }
  for (int block = 0; block < 9; ++block) {
    // Episode e has ended after 4 + e blocks.
    const int first = std::max(0, block - 4), count = kEpisodes - first;
    const Frames frames(config, count, 100 + block);
    std::vector<float> blocks(count * size);
    std::vector<KvCache*> caches;
    for (int i = 0; i < count; ++i) caches.push_back(together[first + i].get());
    own.Encode(frames.pointers, blocks.data());
    for (KvCache* cache : caches) ASSERT_TRUE(cache->BeginBlock().ok());
    own.Feed(caches, blocks.data());
    std::vector<BlockForward::Targets> targets(count);
    own.Act(frames.pointers, blocks.data(), targets);
    for (KvCache* cache : caches) ASSERT_TRUE(cache->EndBlock().ok());
    for (int i = 0; i < count; ++i) {
      const FrameInput* frame = frames.pointers[i];
      KvCache* cache = alone[first + i].get();
      std::vector<float> x(size);
      own.Encode({&frame, 1}, x.data());
      ASSERT_TRUE(cache->BeginBlock().ok());
      own.Feed({&cache, 1}, x.data());
      std::vector<BlockForward::Targets> one(1);
      own.Act({&frame, 1}, x.data(), one);
      ASSERT_TRUE(cache->EndBlock().ok());
      EXPECT_EQ(x, std::vector<float>(blocks.begin() + static_cast<ptrdiff_t>(i * size),
                                      blocks.begin() + static_cast<ptrdiff_t>((i + 1) * size)));
      EXPECT_EQ(one[0], targets[i]) << "episode " << first + i << ", block " << block;
    }
  }
}

}  // namespace
}  // namespace kvla
