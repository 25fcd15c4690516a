// SPDX-License-Identifier: Apache-2.0
// What a training step sees of an episode's past, by TrainStage::history.
#include <gtest/gtest.h>

#include <algorithm>

#include "policy/compact/net/vla_net.h"
#include "policy/compact/training/losses.h"
#include "policy/compact/training/minibatch.h"
#include "policy/compact/training/training_forward.h"
#include "tensors/torch.h"
#include "tests/policy/tiny_policy.h"

namespace kvla {
namespace {

constexpr int kBlocks = 40;
// Every layer of the tiny policy can hand on what its window and the chunk that leaves next hold.
constexpr int64_t kReach = 2 * (4 + 2);

SubHistoryOptions Options(History history, bool compress = false) {
  SubHistoryOptions options;
  options.chunk_blocks = TinyConfig().chunk_blocks;
  options.history = history;
  options.compress = compress;
  return options;
}

// Losses of every block, [blocks].
torch::Tensor LossOf(VlaNet& net, const DemoEpisode& episode, const SubHistoryOptions& options) {
  const torch::NoGradGuard no_grad;
  Rng rng(3);
  const Batch batch = MakeBatch({&episode}, {DrawSubHistory(episode, options, rng)}, net->config(),
                                torch::tensor({0, 2, 3, 4}, torch::kInt64));
  const BlockLosses losses = ComputeLosses(TrainingForward(net, batch, Told::kNothing), batch);
  return (ActionLoss(losses) + losses.waypoint + losses.places.sum(-1) + losses.target)[0];
}

TEST(HistoryModes, OfTheWindowAloneNothingEarlierIsSeen) {
  torch::manual_seed(2);
  VlaNet net(TinyConfig());
  SubHistoryOptions window = Options(History::kWindow), whole = Options(History::kRobust);
  window.max_blocks = whole.max_blocks = kBlocks;
  // They differ in the first block's images alone.
  const DemoEpisode dark = TinyEpisode(TinyConfig(), kBlocks, 0, 0);
  DemoEpisode light = dark;
  const size_t bytes = light.images[0].size() / kBlocks;
  for (auto& camera : light.images) std::fill_n(camera.begin(), bytes, uint8_t{255});
  const auto late_change = [&](const SubHistoryOptions& options) {
    const torch::Tensor change = (LossOf(net, dark, options) - LossOf(net, light, options)).abs();
    EXPECT_GT(change[0].item<double>(), 1e-6);
    return change.narrow(0, kReach, kBlocks - kReach).max().item<double>();
  };
  EXPECT_EQ(late_change(window), 0.0);
  EXPECT_GT(late_change(whole), 1e-6);
}

TEST(HistoryModes, PlainDropsNothingOfItsRun) {
  const DemoEpisode episode = TinyEpisode(TinyConfig(), kBlocks, 3, 1);
  Rng rng(5);
  for (int i = 0; i < 100; ++i) {
    SubHistoryOptions options = Options(History::kPlain, /*compress=*/i % 2 == 0);
    options.max_blocks = i % 3 == 0 ? kBlocks : 12;
    const SubHistory h = DrawSubHistory(episode, options, rng);
    for (size_t b = 1; b < h.blocks.size(); ++b) EXPECT_EQ(h.blocks[b], h.blocks[b - 1] + 1);
    for (const ChunkDecision& d : h.decisions) EXPECT_EQ(d.action, ChunkAction::kWhole);
    EXPECT_EQ(h.decisions.size(), h.blocks.size() / 2);
    EXPECT_TRUE(h.holds_cue) << "a loss would depend on cue labels";
    if (options.max_blocks == kBlocks) {
      EXPECT_EQ(h.blocks.size(), static_cast<size_t>(kBlocks));
    }
  }
}

TEST(HistoryModes, RobustDropsAndCompresses) {
  const DemoEpisode episode = TinyEpisode(TinyConfig(), kBlocks, 3, 1);
  SubHistoryOptions options = Options(History::kRobust, /*compress=*/true);
  options.max_blocks = kBlocks;
  Rng rng(5);
  int actions[4] = {}, cue_dropped = 0;
  constexpr int kDraws = 300;
  for (int i = 0; i < kDraws; ++i) {
    for (const ChunkDecision& d : DrawSubHistory(episode, options, rng).decisions) {
      ++actions[static_cast<int>(d.action)];
      cue_dropped += d.chunk == 1 && d.action == ChunkAction::kDropped ? 1 : 0;
    }
  }
  EXPECT_GT(actions[static_cast<int>(ChunkAction::kWhole)], 0);
  EXPECT_GT(actions[static_cast<int>(ChunkAction::kCompressed)], 0);
  EXPECT_NEAR(actions[static_cast<int>(ChunkAction::kDropped)], kDraws * kBlocks / 4.0, 600);
  // As often as any other chunk.
  EXPECT_NEAR(cue_dropped, kDraws / 2.0, 45);
}

// All that a loss or the net could read of a step.
void ExpectSameBatch(const Batch& a, const Batch& b) {
  const auto same = [](const torch::Tensor& x, const torch::Tensor& y, const char* what) {
    EXPECT_TRUE(torch::equal(x, y)) << what;
  };
  ASSERT_EQ(a.images.size(), b.images.size());
  for (size_t c = 0; c < a.images.size(); ++c) same(a.images[c], b.images[c], "images");
  same(a.proprio, b.proprio, "proprio");
  same(a.motion, b.motion, "motion");
  same(a.gripper, b.gripper, "gripper");
  same(a.action_valid, b.action_valid, "action_valid");
  same(a.waypoint, b.waypoint, "waypoint");
  same(a.target_class, b.target_class, "target_class");
  same(a.target_known, b.target_known, "target_known");
  same(a.cue_order, b.cue_order, "cue_order");
  same(a.places, b.places, "places");
  same(a.places_valid, b.places_valid, "places_valid");
  same(a.choices, b.choices, "choices");
  same(a.decision, b.decision, "decision");
  same(a.uses_target, b.uses_target, "uses_target");
  same(a.fresh, b.fresh, "fresh");
  same(a.valid, b.valid, "valid");
}

class WithoutCueLabels : public testing::TestWithParam<History> {};
INSTANTIATE_TEST_SUITE_P(Modes, WithoutCueLabels,
                         testing::Values(History::kPlain, History::kRobust, History::kWindow));

TEST_P(WithoutCueLabels, NothingThatIsDrawnOrLearntDependsOnThem) {
  const torch::Tensor ids = torch::tensor({0, 2, 3, 4}, torch::kInt64);
  DemoEpisode told = TinyEpisode(TinyConfig(), kBlocks, 3, 1);
  told.use_begins = 120;
  DemoEpisode mistold = told, untold = told;
  mistold.cue_blocks = {{20, 24}, {38, 40}};
  untold.cue_blocks.clear();
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SubHistoryOptions options = Options(GetParam(), /*compress=*/seed % 2 == 0);
    options.max_blocks = seed % 3 == 0 ? kBlocks : 12;
    const auto draw = [&](const DemoEpisode& episode) {
      Rng rng(seed);
      SubHistory history = DrawSubHistory(episode, options, rng);
      return std::pair(history, MakeBatch({&episode}, {history}, TinyConfig(), ids));
    };
    const auto [history, batch] = draw(told);
    for (const DemoEpisode* other : {&mistold, &untold}) {
      const auto [other_history, other_batch] = draw(*other);
      EXPECT_EQ(history.blocks, other_history.blocks);
      EXPECT_EQ(history.decisions, other_history.decisions);
      ExpectSameBatch(batch, other_batch);
    }
  }
}

TEST(HistoryModes, ByCuesDoesDependOnThem) {
  DemoEpisode told = TinyEpisode(TinyConfig(), kBlocks, 3, 1), mistold = told;
  mistold.cue_blocks = {{20, 24}};
  SubHistoryOptions options = Options(History::kByCues, /*compress=*/true);
  options.max_blocks = 12;
  int different = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Rng one(seed), two(seed);
    const SubHistory a = DrawSubHistory(told, options, one);
    const SubHistory b = DrawSubHistory(mistold, options, two);
    different += a.decisions != b.decisions || a.holds_cue != b.holds_cue ? 1 : 0;
  }
  EXPECT_GT(different, 20);
}

TEST(PackedDemonstrations, GiveTheSameBatches) {
  const torch::Tensor ids = torch::tensor({0, 2, 3, 4}, torch::kInt64);
  const DemoEpisode raw = TinyEpisode(TinyConfig(), 39, 3, 1);  // the last group is cut short
  DemoEpisode packed = raw;
  PackImages(&packed);
  EXPECT_TRUE(packed.images.empty());
  EXPECT_TRUE(CheckDemo(packed, TinyConfig()).ok());
  const size_t bytes = raw.images[0].size();
  EXPECT_LT(packed.packed[0].bytes(), bytes / 4);
  for (uint64_t seed = 0; seed < 10; ++seed) {
    SubHistoryOptions options = Options(History::kRobust);
    options.max_blocks = seed == 0 ? 39 : 12;
    Rng rng(seed);
    const SubHistory history = DrawSubHistory(raw, options, rng);
    ExpectSameBatch(MakeBatch({&raw}, {history}, TinyConfig(), ids),
                    MakeBatch({&packed}, {history}, TinyConfig(), ids));
  }
}

}  // namespace
}  // namespace kvla
