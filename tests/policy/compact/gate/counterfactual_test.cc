// SPDX-License-Identifier: Apache-2.0
// The gate's labels: against a cache that is run block by block, and against hand-made losses.
#include "policy/compact/gate/counterfactual.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kv_efficient/training/visibility.h"
#include "policy/compact/gate/recorded_cache.h"
#include "tests/policy/compact/gate/scene_fixture.h"

namespace kvla {
namespace {

using CounterfactualTest = SceneFixture;

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
          CounterfactualDrops(net_, instruction_, encoded_, episode_, config).drops;
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
  EXPECT_EQ(just->onset_block, 3);
}

// Every label of a demonstration moved or taken away: under `teacher: actions` nothing of what the
// gate learns moves with them.
TEST_F(CounterfactualTest, NoLabelOfADemonstrationTeachesUnderActions) {
  config_.history_gain = 0;
  config_.useful_drop = 1e-4;
  std::vector<DemoEpisode> others(5, episode_);
  others[0].cue_blocks = {{7, 9}};
  std::ranges::fill(others[1].target_class, 2);
  std::ranges::fill(others[2].decision, uint8_t{0});
  others[2].decision[4] = 1;
  for (auto& place : others[3].target_places) place = {0.1F, -0.4F, 0.3F};
  for (auto& waypoint : others[3].waypoints) waypoint = {0.9F, 0.9F, 0.9F};
  others[4].cue_blocks.clear();
  std::ranges::fill(others[4].decision, uint8_t{0});
  std::ranges::fill(others[4].target_class, -1);
  others[4].target_places.clear();
  others[4].choices = 0;
  for (const char* find : {"each", "few", "pairs"}) {
    config_.find = find;
    for (const char* teacher : {"actions", "everything"}) {
      config_.teacher = teacher;
      const Result<LabelledChunks> want = LabelChunks(net_, instruction_, episode_, config_);
      ASSERT_TRUE(want.ok()) << want.status().message();
      int moved = 0;
      for (const DemoEpisode& other : others) {
        const Result<LabelledChunks> got = LabelChunks(net_, instruction_, other, config_);
        ASSERT_TRUE(got.ok()) << got.status().message();
        const bool same = got->drops == want->drops && torch::equal(got->useful, want->useful) &&
                          torch::equal(got->counts, want->counts) &&
                          torch::equal(got->features, want->features) &&
                          got->scenes == want->scenes;
        if (config_.teacher == "actions") {
          EXPECT_TRUE(same) << find << " " << &other - &others[0];
        }
        moved += same ? 0 : 1;
      }
      if (config_.teacher == "everything") {
        EXPECT_GE(moved, 3) << find;
      } else {
        EXPECT_GT(want->scenes, 0);
        EXPECT_GT(*std::ranges::max_element(want->drops), 0) << find;
      }
    }
  }
}

// The teacher's loss under actions, through a cache, written out.
TEST_F(CounterfactualTest, UnderActionsADropIsWhatTheActionsGain) {
  config_.teacher = "actions";
  const SceneLosses losses(net_, instruction_, encoded_, episode_, config_);
  const Scene scene = SceneAt(kDecision, 3, BlockSchedule(4, 2));
  for (const char* storage : {"f32", "bf16"}) {
    config_.storage = storage;
    const KvFormat format = *KvFormatNamed(storage);
    const auto with = [&](const std::set<int>& kept) {
      return losses.OfEnds({HistoryWith(kept, scene, 2, ChunkAction::kCompressed)}, 3, format)[0];
    };
    EXPECT_NEAR(with({}), CachedLoss(6, {}, ChunkAction::kCompressed), kTolerance) << storage;
    EXPECT_NEAR(with({2}), CachedLoss(4, {0}, ChunkAction::kCompressed), kTolerance) << storage;
  }
}

// A chunk is worth what it is as the arm stores it: in int8 nearly as much as in f32, in int4 less
// nearly so.
TEST_F(CounterfactualTest, WhatAChunkIsWorthFollowsTheStorageType) {
  config_.teacher = "actions";
  config_.keep = "whole";
  config_.history_gain = 0;
  config_.scenes = 1000;
  std::map<std::string, double> off;
  double worth = 0;
  for (int seed = 1; seed <= 4; ++seed) {
    Make(1, seed);
    Attentive();
    config_.storage = "f32";
    const std::vector<double> exact = Drops();
    for (const double drop : exact) worth += drop;
    for (const char* storage : {"f32", "bf16", "int8", "int4"}) {
      config_.storage = storage;
      const std::vector<double> drops = Drops();
      ASSERT_EQ(drops.size(), exact.size());
      for (size_t i = 0; i < drops.size(); ++i) off[storage] += std::abs(drops[i] - exact[i]);
    }
  }
  EXPECT_EQ(off["f32"], 0);
  EXPECT_GT(off["bf16"], 0);
  EXPECT_GT(off["int8"], 0);
  EXPECT_LT(off["bf16"], 0.05 * worth);
  EXPECT_LT(off["int8"], 0.1 * worth);
  EXPECT_GT(off["int4"], 2 * off["int8"]);
}

// Steps whose action hangs on what left the window: the demonstrator goes where the policy goes
// with its whole history, and elsewhere where it goes without.
// Of chunks 3 and 4 either will do; 7 is needed, and nothing stands in for it.
TEST(TakeAway, AChunkThatWouldDoInPlaceOfItsNeighborStandsIn) {
  const KeptLosses losses = [](const std::vector<std::set<int>>& kept) {
    std::vector<double> out;
    for (const std::set<int>& k : kept) {
      out.push_back((k.contains(3) || k.contains(4) ? 0.0 : 1.0) + (k.contains(7) ? 0.0 : 1.0));
    }
    return out;
  };
  const std::vector<double> drops = TakeAwayDrops(10, losses, 0.5);
  EXPECT_GT(drops[7], 0);
  ASSERT_NE(drops[3] > 0, drops[4] > 0);
  EXPECT_EQ(StandIns(drops, losses, 0.5), (std::set<int>{drops[3] > 0 ? 4 : 3}));
  EXPECT_TRUE(StandIns(std::vector<double>(10, 0.0), losses, 0.5).empty());
}

// Leave one chunk out of a cache that holds all of them, block by block.
TEST_F(CounterfactualTest, TheChangeOfTheActionIsThatOfACacheWithoutTheChunk) {
  config_.teacher = "actions";
  config_.keep = "whole";
  const Scene scene = SceneAt(kDecision, 3, BlockSchedule(4, 2));
  const Result<std::vector<double>> changes =
      ActionChanges(net_, instruction_, encoded_, episode_, scene, config_);
  ASSERT_TRUE(changes.ok()) << changes.status().message();
  ASSERT_EQ(changes->size(), 3u);  // chunk 3 leaves within the scene
  // The visibility of a chunk that is whole until the last one leaves, and then gone.
  const auto act = [&](int gone) {
    const torch::NoGradGuard no_grad;
    const BlockSchedule schedule(4, 2);
    std::vector<int> positions(kBlocks);
    for (int b = 0; b < kBlocks; ++b) positions[static_cast<size_t>(b)] = b;
    std::vector<DecisionEvent> events;
    if (gone >= 0) events.push_back({schedule.LeavesAfter(2), {gone, ChunkAction::kDropped}});
    const Result<Visibility> seen = BuildVisibility(schedule, 4, sizes_.tokens_per_block(),
                                                    positions, events, ChunkAction::kWhole);
    EXPECT_TRUE(seen.ok());
    const Result<TrainingPlan> plan =
        PlanTraining({&*seen, 1}, RotaryTable(sizes_.head_dim(), sizes_.rope_theta, 32),
                     sizes_.age_clamp_blocks, torch::kCPU);
    EXPECT_TRUE(plan.ok());
    const std::vector<Qkv> first = net_->InstructionKeys(instruction_);
    const torch::Tensor hidden = net_->decoder()->forward(
        encoded_.view({1, -1, sizes_.hidden_size}), [&](int layer, const Qkv& qkv) {
          return TrainingAttention(qkv.q, torch::cat({first[layer].k.unsqueeze(0), qkv.k}, 2),
                                   torch::cat({first[layer].v.unsqueeze(0), qkv.v}, 2), *plan);
        });
    SubHistory whole;
    whole.blocks = positions;
    const Batch batch = MakeBatch({&episode_}, {whole}, sizes_, instruction_);
    return net_->Heads(hidden.view({1, kBlocks, sizes_.tokens_per_block(), sizes_.hidden_size})
                           .narrow(1, scene.begin, 3),
                       batch.proprio.view({1, kBlocks, kProprioDim}).narrow(1, scene.begin, 3));
  };
  const HeadOutputs with = act(-1);
  for (int chunk = 0; chunk < 3; ++chunk) {
    const HeadOutputs without = act(chunk);
    const double want =
        (with.motion - without.motion).abs().mean().item<double>() +
        0.2 * (with.gripper.sigmoid() - without.gripper.sigmoid()).abs().mean().item<double>();
    EXPECT_NEAR((*changes)[static_cast<size_t>(chunk)], want, kTolerance) << chunk;
    EXPECT_GT(want, 1e-4) << chunk;
  }
}

// What the gate learns from is what it will read: a cache that keeps the useful chunks as it will.
TEST_F(CounterfactualTest, FeaturesComeFromTheDeployedCache) {
  config_.useful_drop = 0;  // all of them are kept
  for (const auto& [keep, storage] : {std::pair{"compressed", "f32"}, std::pair{"whole", "f32"},
                                      std::pair{"compressed", "int8"}}) {
    config_.keep = keep;
    config_.storage = storage;
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
    // So they would in another type.
    config_.storage = std::string(storage) == "f32" ? "int8" : "f32";
    std::vector<torch::Tensor> other;
    ThroughCache(0, kBlocks, {0, 1, 2, 3, 4, 5}, KeepAction(keep), &other);
    EXPECT_FALSE(torch::equal(torch::stack(other), labelled->features));
  }
}

}  // namespace
}  // namespace kvla
