// SPDX-License-Identifier: Apache-2.0
// Where the loss that teaches a gate is looked at.
#include "policy/compact/gate/scene.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "policy/compact/training/training_forward.h"
#include "tests/policy/compact/gate/scene_fixture.h"

namespace kvla {
namespace {

using SceneTest = SceneFixture;

TEST_F(SceneTest, OnlyBlocksWhereADecisionOpensOrGoesOnCount) {
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

TEST_F(SceneTest, TheSceneFollowsWindowAndChunk) {
  for (const auto& [window, chunk] : {std::pair{4, 2}, std::pair{16, 4}, std::pair{7, 3}}) {
    const BlockSchedule schedule(window, chunk);
    for (int decision = 0; decision < 60; ++decision) {
      const Scene scene = SceneAt(decision, 3, schedule);
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

TEST_F(SceneTest, AHistoryHoldsTheKeptChunksAndTheWindow) {
  const Scene scene = SceneAt(kDecision, 3, BlockSchedule(4, 2));
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

TEST_F(SceneTest, TakingTheHistoryAwayFindsTheStepsThatNeedIt) {
  config_.teacher = "actions";
  config_.scenes = 1000;
  Attentive();
  episode_ = TinyEpisode(sizes_, 30, 3, 1);
  encoded_ = EncodeEpisode(net_, episode_);
  constexpr int kUsed = 21;  // a tile's first block
  const BlockSchedule schedule(sizes_.window_blocks, sizes_.chunk_blocks);
  SubHistory whole;
  for (int b = 0; b < episode_.blocks; ++b) whole.blocks.push_back(b);
  const auto act = [&](const SubHistory& history) {
    const torch::NoGradGuard no_grad;
    Batch batch = MakeBatch({&episode_}, {history}, sizes_, instruction_);
    batch.encoded = GatherEncoded(batch, {encoded_});
    return TrainingForward(net_, batch, Told::kNothing);
  };
  const HeadOutputs with = act(whole);
  double apart = 0;
  for (int block = 0; block < episode_.blocks; ++block) {
    const Scene scene = SceneAt(block - block % 3, 3, schedule);
    const HeadOutputs alone = act(HistoryWith({}, scene, sizes_.chunk_blocks, ChunkAction::kWhole));
    const int64_t row = alone.motion.size(1) - 3 + block - scene.begin;
    const bool needs = block >= kUsed && block < kUsed + 3;
    const torch::Tensor there = with.motion[0][block], here = alone.motion[0][row];
    const torch::Tensor motion = needs ? there : here;
    const torch::Tensor closes = with.gripper[0][block] - alone.gripper[0][row];
    if (needs) apart += (there - here).abs().mean().item<double>() / 3;
    for (int step = 0; step < sizes_.replan_steps; ++step) {
      auto& target = episode_.targets[static_cast<size_t>(block * sizes_.replan_steps + step)];
      for (size_t i = 0; i < 3; ++i) {
        const auto dimension = static_cast<int64_t>(i);
        target[i] = episode_.proprio[static_cast<size_t>(block)][i] +
                    0.05F * motion[step][dimension].item<float>();
        target[3 + i] = motion[step][3 + dimension].item<float>();
      }
      target[6] = (closes[step].item<float>() > 0) == needs ? 1.0F : -1.0F;
    }
  }
  ASSERT_GT(apart, 1e-3);
  config_.history_gain = 0.5 * apart;
  const SceneLosses losses(net_, instruction_, encoded_, episode_, config_);
  const std::vector<Scene> found = NeedyScenes(losses, episode_.blocks, sizes_, config_);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].begin, kUsed);
  EXPECT_EQ(found[0].end, kUsed + 3);
  EXPECT_EQ(found[0].left, schedule.LeftChunks(kUsed + 2));
  config_.history_gain = 100;
  EXPECT_TRUE(NeedyScenes(losses, episode_.blocks, sizes_, config_).empty());
  config_.history_gain = -100;  // every one; then the one where it buys most
  EXPECT_EQ(NeedyScenes(losses, episode_.blocks, sizes_, config_).size(), 8u);
  config_.scenes = 1;
  const std::vector<Scene> one = NeedyScenes(losses, episode_.blocks, sizes_, config_);
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].begin, kUsed);
}

}  // namespace
}  // namespace kvla
