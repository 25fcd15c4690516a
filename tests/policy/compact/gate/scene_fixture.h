// SPDX-License-Identifier: Apache-2.0
// A demonstration and a net of random weights, and the cache that a gate would work on. Includes
// torch.
#ifndef KVLA_TESTS_POLICY_COMPACT_GATE_SCENE_FIXTURE_H_
#define KVLA_TESTS_POLICY_COMPACT_GATE_SCENE_FIXTURE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kv_efficient/kv_cache.h"
#include "kv_efficient/methods/learned/chunk_gate.h"
#include "kv_efficient/training/visibility.h"
#include "policy/compact/gate/counterfactual.h"
#include "policy/compact/gate/recorded_cache.h"
#include "policy/compact/net/cached_forward.h"
#include "policy/compact/training/encode_episode.h"
#include "policy/compact/training/losses.h"
#include "policy/compact/training/minibatch.h"
#include "policy/compact/training/training_forward.h"
#include "tests/policy/tiny_policy.h"

namespace kvla {

inline constexpr double kTolerance = 1e-5;

// Keeps the chunks of a list and writes down what a gate would read.
class KeepList : public CachePolicy {
 public:
  KeepList(std::set<int> kept, ChunkAction keep, std::vector<torch::Tensor>* features = nullptr)
      : CachePolicy({.keep = keep}), kept_(std::move(kept)), features_(features) {}
  Needs needs() const override { return {.keys_values = true}; }
  float Score(const ChunkView& chunk) override {
    if (features_ != nullptr) {
      features_->push_back(GateFeatures(chunk.keys, chunk.values).clone());
    }
    return kept_.contains(chunk.chunk) ? 1.0F : 0.0F;
  }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<KeepList>(*this); }
  MethodCost cost() const override { return {}; }

 protected:
  bool keeps(float score) const override { return score > 0; }

 private:
  std::set<int> kept_;
  std::vector<torch::Tensor>* features_;
};

// 13 blocks, decision at 10: with a window of 4 in chunks of 2 it sees blocks 6 and later, and
// chunk 3 (blocks 6, 7) leaves before the last of its three blocks.
class SceneFixture : public testing::Test {
 protected:
  static constexpr int kBlocks = 13, kDecision = 10;

  void SetUp() override {
    torch::set_num_threads(1);
    config_.teacher = "everything";
    config_.find = "each";
    Make(1, 5);
  }

  void Make(int target, int seed) {
    torch::manual_seed(seed);
    net_ = VlaNet(sizes_);
    net_->eval();
    episode_ = TinyEpisode(sizes_, kBlocks, 3, target);
    episode_.target_places.assign(3, {0.5F, 0.2F, 0.1F});
    episode_.choices = 3;
    encoded_ = EncodeEpisode(net_, episode_);
  }

  // A net of random weights hardly looks back; this one does.
  void Attentive() {
    const torch::NoGradGuard no_grad;
    for (auto& item : net_->named_parameters()) {
      if (item.key().find("o_proj") != std::string::npos) item.value().mul_(8);
    }
  }

  std::vector<double> Drops() {
    return CounterfactualDrops(net_, instruction_, encoded_, episode_, config_).drops;
  }

  // The decoder's output of blocks [first, end) through a cache of its own, in which chunk
  // numbers count from `first`.
  torch::Tensor ThroughCache(int first, int end, const std::set<int>& kept, ChunkAction keep,
                             std::vector<torch::Tensor>* features = nullptr) {
    CacheConfig config;
    config.storage = config_.storage;
    config.window_blocks = sizes_.window_blocks;
    config.chunk_blocks = sizes_.chunk_blocks;
    Result<std::unique_ptr<KvCache>> cache =
        KvCache::Create(GeometryOf(sizes_, sizes_.instruction_capacity(), kBlocks), config,
                        std::make_unique<KeepList>(kept, keep, features), torch::kCPU);
    EXPECT_TRUE(cache.ok()) << cache.status().message();
    EXPECT_TRUE(FeedInstruction(net_, instruction_, **cache).ok());
    std::vector<torch::Tensor> out;
    for (int b = first; b < end; ++b) {
      EXPECT_TRUE((*cache)->BeginBlock().ok());
      const torch::Tensor hidden = FeedBlock(net_, encoded_[b], **cache);
      out.push_back(hidden.clone());
      EXPECT_TRUE((*cache)->EndBlock().ok());
    }
    return torch::stack(out);
  }

  // The loss over blocks 10 to 12 of an episode that begins at `first`, written out.
  double CachedLoss(int first, const std::set<int>& kept, ChunkAction keep) {
    const c10::InferenceMode inference_mode;
    SubHistory history;
    history.holds_cue = true;
    for (int b = first; b < kBlocks; ++b) history.blocks.push_back(b);
    const Batch batch = MakeBatch({&episode_}, {history}, sizes_, instruction_);
    const torch::Tensor hidden = ThroughCache(first, kBlocks, kept, keep).unsqueeze(0);
    const HeadOutputs outputs =
        net_->Heads(hidden, batch.proprio.view({1, kBlocks - first, kProprioDim}));
    const BlockLosses l = ComputeLosses(outputs, batch);
    EXPECT_GT(l.goal.sum().item<double>(), 0);  // each term counts
    EXPECT_GT(l.target.sum().item<double>(), 0);
    EXPECT_GT(l.waypoint.sum().item<double>(), 0);
    torch::Tensor block = l.motion + 0.2 * l.gripper;
    if (config_.teacher == "everything") block = block + l.waypoint + l.target + l.goal;
    return block[0].narrow(0, kDecision - first, 3).mean().item<double>();
  }

  const PolicyConfig sizes_ = TinyConfig();
  const torch::Tensor instruction_ = torch::tensor({0, 2, 3, 4}, torch::kInt64);
  GateTrainConfig config_;
  VlaNet net_{nullptr};
  DemoEpisode episode_;
  torch::Tensor encoded_;
};

}  // namespace kvla

#endif  // KVLA_TESTS_POLICY_COMPACT_GATE_SCENE_FIXTURE_H_
