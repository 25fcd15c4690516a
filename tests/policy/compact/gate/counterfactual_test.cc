// SPDX-License-Identifier: Apache-2.0
// The gate's labels: against a cache that is run block by block, and against hand-made losses.
#include "policy/compact/gate/counterfactual.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "kv_efficient/kv_cache.h"
#include "kv_efficient/methods/learned/chunk_gate.h"
#include "policy/compact/net/cached_forward.h"
#include "policy/compact/training/encode_episode.h"
#include "policy/compact/training/losses.h"
#include "policy/compact/training/minibatch.h"
#include "tests/policy/tiny_policy.h"

namespace kvla {
namespace {

constexpr double kTolerance = 1e-5;

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
class CounterfactualTest : public testing::Test {
 protected:
  static constexpr int kBlocks = 13, kDecision = 10;

  void SetUp() override {
    torch::set_num_threads(1);
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

  std::vector<double> Drops() {
    return CounterfactualDrops(net_, instruction_, encoded_, episode_, config_);
  }

  // The decoder's output of blocks [first, end) through a cache of its own, in which chunk
  // numbers count from `first`.
  torch::Tensor ThroughCache(int first, int end, const std::set<int>& kept, ChunkAction keep,
                             std::vector<torch::Tensor>* features = nullptr) {
    CacheConfig config;
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
    const torch::Tensor block = l.motion + 0.2 * l.gripper + l.waypoint + l.target + l.goal;
    return block[0].narrow(0, kDecision - first, 3).mean().item<double>();
  }

  const PolicyConfig sizes_ = TinyConfig();
  const torch::Tensor instruction_ = torch::tensor({0, 2, 3, 4}, torch::kInt64);
  GateTrainConfig config_;
  VlaNet net_{nullptr};
  DemoEpisode episode_;
  torch::Tensor encoded_;
};

TEST_F(CounterfactualTest, ADropIsWhatACacheThatKeepsTheChunkTakesOffTheLoss) {
  int positive = 0;
  for (const char* keep : {"compressed", "whole"}) {
    const ChunkAction action =
        config_.keep == keep ? ChunkAction::kCompressed : ChunkAction::kWhole;
    for (int seed = 1; seed <= 4; ++seed) {
      Make(seed % 3, seed);
      GateTrainConfig config = config_;
      config.keep = keep;
      const std::vector<double> drops =
          CounterfactualDrops(net_, instruction_, encoded_, episode_, config);
      ASSERT_EQ(drops.size(), 6u);
      const double bare = CachedLoss(6, {}, action);
      // Chunk 2 before the window: an episode that begins with it. Chunk 3: the window's first.
      const double two = bare - CachedLoss(4, {0}, action);
      const double three = bare - CachedLoss(6, {0}, action);
      EXPECT_NEAR(drops[2], std::max(0.0, two), kTolerance) << keep << " " << seed;
      EXPECT_NEAR(drops[3], std::max(0.0, three), kTolerance) << keep << " " << seed;
      EXPECT_EQ(drops[4], 0);  // never left
      EXPECT_EQ(drops[5], 0);
      positive += (two > 1e-3) + (three > 1e-3);
    }
  }
  EXPECT_GE(positive, 4);
}

TEST_F(CounterfactualTest, WhatIsKeptCompressedIsWorthSomethingElseThanWhole) {
  EXPECT_EQ(config_.keep, "compressed");
  const std::vector<double> compressed = Drops();
  config_.keep = "whole";
  EXPECT_NE(compressed, Drops());
}

TEST_F(CounterfactualTest, OnlyBlocksWhereADecisionOpensOrGoesOnCount) {
  EXPECT_EQ(DecisionBlocks(episode_, sizes_.replan_steps), (std::vector<int>{kDecision}));
  const auto steps = static_cast<size_t>(sizes_.replan_steps);
  // Goes on to another target two blocks later; is shut and opens again with the old one before.
  std::fill(episode_.decision.begin(), episode_.decision.begin() + 4 * sizes_.replan_steps, 1);
  std::fill(episode_.target_class.begin(), episode_.target_class.begin() + 3 * sizes_.replan_steps,
            1);
  std::fill(episode_.target_class.begin() + static_cast<std::ptrdiff_t>(12 * steps),
            episode_.target_class.end(), 2);
  EXPECT_EQ(DecisionBlocks(episode_, sizes_.replan_steps), (std::vector<int>{0, kDecision, 12}));
}

TEST_F(CounterfactualTest, TheSceneFollowsWindowAndChunk) {
  for (const auto& [window, chunk] : {std::pair{4, 2}, std::pair{16, 4}, std::pair{7, 3}}) {
    const BlockSchedule schedule(window, chunk);
    for (int decision = 0; decision < 60; ++decision) {
      const DecisionScene scene = SceneAt(decision, 3, schedule);
      EXPECT_EQ(scene.begin, decision);
      EXPECT_EQ(scene.end, decision + 3);
      EXPECT_EQ(scene.first_seen, schedule.NearBegin(decision));
      EXPECT_LE(scene.begin - scene.first_seen, window + chunk - 1);
      int left = 0;
      while (schedule.LeavesAfter(left) < decision + 2) ++left;
      EXPECT_EQ(scene.left, left);
    }
  }
}

TEST_F(CounterfactualTest, AHistoryHoldsTheKeptChunksAndTheWindow) {
  const DecisionScene scene = SceneAt(kDecision, 3, BlockSchedule(4, 2));
  ASSERT_EQ(scene.left, 4);
  const SubHistory history = HistoryWith({0, 2}, scene, 2, ChunkAction::kCompressed);
  EXPECT_EQ(history.blocks, (std::vector<int>{0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
  ASSERT_EQ(history.decisions.size(), 3u);
  EXPECT_EQ(history.decisions[0].chunk, 0);
  EXPECT_EQ(history.decisions[0].action, ChunkAction::kCompressed);
  EXPECT_EQ(history.decisions[1].chunk, 2);
  EXPECT_EQ(history.decisions[1].action, ChunkAction::kCompressed);
  EXPECT_EQ(history.decisions[2].chunk, 3);  // leaves within the scene
  EXPECT_EQ(history.decisions[2].action, ChunkAction::kDropped);
  EXPECT_TRUE(history.holds_cue);
}

TEST_F(CounterfactualTest, ChunksThatLeftAreWhatIsAskedAbout) {
  episode_ = TinyEpisode(sizes_, 7, 1, 1);  // decision at 4, up to block 6: chunk 0 leaves after 5
  encoded_ = EncodeEpisode(net_, episode_);
  ASSERT_EQ(Drops().size(), 3u);
  episode_ = TinyEpisode(sizes_, 6, 1, 1);  // nothing has left before block 5
  encoded_ = EncodeEpisode(net_, episode_);
  EXPECT_TRUE(Drops().empty());
}

// A chunk that lowers the loss of the bare window by 1.5; one that raises it.
TEST(GiveBack, TheDropIsBareMinusWithAndNeverNegative) {
  const KeptLosses losses = [](const std::vector<std::set<int>>& kept) {
    std::vector<double> out;
    for (const std::set<int>& k : kept) {
      out.push_back(k.contains(1) ? 0.5 : k.contains(2) ? 2.75 : 2.0);
      EXPECT_LE(k.size(), 1u);
    }
    return out;
  };
  EXPECT_EQ(GiveBackDrops(4, losses), (std::vector<double>{0, 1.5, 0, 0}));
}

// Against every subset: the chunks named suffice, none of them can go, and each drop is what its
// going costs.
TEST(TakeAway, NamesASetThatSufficesAndOfWhichNoneCanGo) {
  constexpr int kChunks = 7;
  constexpr double kEnough = 0.4;
  Rng rng(9);
  int found = 0;
  for (int trial = 0; trial < 60; ++trial) {
    std::vector<double> worth(kChunks, 0.0);
    for (double& w : worth) w = rng.Uniform() < 0.5 ? 0.0 : rng.Uniform();
    const auto loss = [&](const std::set<int>& kept) {
      double total = 0.3;
      for (int c = 0; c < kChunks; ++c) total += kept.contains(c) ? 0 : worth[c];
      return total;
    };
    const KeptLosses losses = [&](const std::vector<std::set<int>>& kept) {
      std::vector<double> out;
      for (const std::set<int>& k : kept) out.push_back(loss(k));
      return out;
    };
    std::set<std::set<int>> minimal;  // by brute force
    for (int bits = 0; bits < 1 << kChunks; ++bits) {
      std::set<int> kept;
      for (int c = 0; c < kChunks; ++c) {
        if (bits >> c & 1) kept.insert(c);
      }
      if (loss(kept) >= 0.3 + kEnough) continue;
      const bool none_can_go = std::ranges::all_of(kept, [&](int c) {
        std::set<int> rest = kept;
        rest.erase(c);
        return loss(rest) >= 0.3 + kEnough;
      });
      if (none_can_go) minimal.insert(kept);
    }
    const std::vector<double> drops = TakeAwayDrops(kChunks, losses, kEnough);
    std::set<int> named;
    for (int c = 0; c < kChunks; ++c) {
      if (drops[c] > 0) named.insert(c);
    }
    EXPECT_TRUE(minimal.contains(named)) << "trial " << trial;
    for (const int c : named) {
      std::set<int> rest = named;
      rest.erase(c);
      EXPECT_NEAR(drops[c], loss(rest) - 0.3, 1e-12);
      EXPECT_GE(drops[c], kEnough);
    }
    found += named.empty() ? 0 : 1;
  }
  EXPECT_GT(found, 30);
}

TEST_F(CounterfactualTest, AChunkIsUsefulFromTheNamedDropOn) {
  const std::vector<double> drops = Drops();
  const double most = *std::ranges::max_element(drops);
  ASSERT_GT(most, 0);
  config_.useful_drop = most;
  const Result<LabelledChunks> just = LabelChunks(net_, instruction_, episode_, config_);
  ASSERT_TRUE(just.ok()) << just.status().message();
  ASSERT_EQ(just->useful.size(0), 4);  // the other two never left
  for (int64_t c = 0; c < 4; ++c) {
    EXPECT_EQ(just->drops[static_cast<size_t>(c)], drops[static_cast<size_t>(c)]);
    EXPECT_EQ(just->useful[c].item<float>(), drops[static_cast<size_t>(c)] == most ? 1.0F : 0.0F);
  }
  config_.useful_drop = most * 1.0001;
  const Result<LabelledChunks> none = LabelChunks(net_, instruction_, episode_, config_);
  ASSERT_TRUE(none.ok()) << none.status().message();
  EXPECT_EQ(none->useful.sum().item<float>(), 0.0F);
  EXPECT_EQ(just->target, 1);
  EXPECT_EQ(just->saw_cue, (std::vector<bool>{false, true, false, false}));  // block 3
}

// What the gate learns from is what it will read: a cache that keeps the useful chunks as it will.
TEST_F(CounterfactualTest, FeaturesComeFromTheDeployedCache) {
  config_.useful_drop = 0;  // all of them are kept
  for (const char* keep : {"compressed", "whole"}) {
    config_.keep = keep;
    const Result<LabelledChunks> labelled = LabelChunks(net_, instruction_, episode_, config_);
    ASSERT_TRUE(labelled.ok()) << labelled.status().message();
    const c10::InferenceMode inference_mode;
    for (const ChunkAction action : {ChunkAction::kCompressed, ChunkAction::kWhole}) {
      std::vector<torch::Tensor> features;
      ThroughCache(0, kBlocks, {0, 1, 2, 3, 4, 5}, action, &features);
      ASSERT_EQ(features.size(), 4u);
      EXPECT_EQ(torch::equal(torch::stack(features), labelled->features),
                ActionName(action) == keep)
          << keep;
    }
    // Without what was kept they would be others: it is seen by the blocks that come later.
    std::vector<torch::Tensor> bare;
    ThroughCache(0, kBlocks, {}, ChunkAction::kWhole, &bare);
    EXPECT_FALSE(torch::equal(torch::stack(bare), labelled->features));
  }
}

}  // namespace
}  // namespace kvla
