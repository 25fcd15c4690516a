// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/losses.h"

#include <gtest/gtest.h>

#include <limits>

#include "policy/compact/net/vla_net.h"
#include "policy/compact/training/minibatch.h"
#include "policy/compact/training/training_forward.h"
#include "tensors/torch.h"
#include "tests/policy/tiny_policy.h"

namespace kvla {
namespace {

TEST(Losses, PlacesThatAnEpisodeLacksDoNotCount) {
  torch::manual_seed(2);
  VlaNet net(TinyConfig());
  const torch::NoGradGuard no_grad;
  DemoEpisode episode = TinyEpisode(TinyConfig(), 8, 3, 1);
  episode.target_places = {{0.5F, 0.1F, 0.1F}, {0.6F, -0.1F, 0.1F}};
  Rng rng(1);
  const Batch batch =
      MakeBatch({&episode}, {DrawSubHistory(episode, {.max_blocks = 100, .chunk_blocks = 2}, rng)},
                TinyConfig(), torch::tensor({0, 2, 3, 4}, torch::kInt64));
  HeadOutputs outputs = TrainingForward(net, batch, Told::kTarget);
  const BlockLosses before = ComputeLosses(outputs, batch);
  outputs.places.narrow(2, 2, 2).add_(100.0);
  const BlockLosses after = ComputeLosses(outputs, batch);
  EXPECT_GT(before.places.sum().item<double>(), 0.0);
  EXPECT_TRUE(torch::equal(before.places, after.places));
  EXPECT_EQ(before.places_valid.sum().item<double>(), 8 * 2);
  episode.target_places[0].fill(std::numeric_limits<float>::quiet_NaN());
  const Batch one =
      MakeBatch({&episode}, {DrawSubHistory(episode, {.max_blocks = 100, .chunk_blocks = 2}, rng)},
                TinyConfig(), torch::tensor({0, 2, 3, 4}, torch::kInt64));
  const BlockLosses without = ComputeLosses(TrainingForward(net, one, Told::kTarget), one);
  EXPECT_EQ(without.places_valid.sum().item<double>(), 8);
  EXPECT_TRUE(without.places.isfinite().all().item<bool>());
}

TEST(Losses, TheWayIsJudgedByTheOneOfGoalAndElsewhereThatItLeadsTo) {
  torch::manual_seed(2);
  VlaNet net(TinyConfig());
  const torch::NoGradGuard no_grad;
  DemoEpisode episode = TinyEpisode(TinyConfig(), 8, 3, 1);
  episode.target_places = {{0.5F, 0.1F, 0.1F}, {0.6F, -0.1F, 0.1F}};
  std::fill(episode.target_class.begin(), episode.target_class.end(), 1);
  std::fill(episode.waypoints.begin(), episode.waypoints.end(),
            std::array<float, 3>{0.3F, 0.0F, 0.2F});
  const int steps = TinyConfig().replan_steps;
  for (int i = 0; i < steps; ++i) episode.waypoints[i] = {0.6F, -0.09F, 0.1F};  // a scattered goal
  Rng rng(1);
  const Batch batch =
      MakeBatch({&episode}, {DrawSubHistory(episode, {.max_blocks = 100, .chunk_blocks = 2}, rng)},
                TinyConfig(), torch::tensor({0, 2, 3, 4}, torch::kInt64));
  HeadOutputs outputs = TrainingForward(net, batch, Told::kTarget);
  outputs.to_goal.fill_(10.0);  // sure that every way leads to the goal
  const BlockLosses before = ComputeLosses(outputs, batch);
  EXPECT_LT(before.choice[0][0].item<double>(), 0.1);
  EXPECT_GT(before.choice[0][1].item<double>(), 5.0);
  outputs.elsewhere = outputs.elsewhere + 1.0;
  const torch::Tensor change = (ComputeLosses(outputs, batch).waypoint - before.waypoint).abs()[0];
  EXPECT_EQ(change[0].item<double>(), 0.0);
  EXPECT_GT(change[1].item<double>(), 0.1);
  outputs.goal = outputs.goal + 1.0;
  const torch::Tensor both = (ComputeLosses(outputs, batch).waypoint - before.waypoint).abs()[0];
  EXPECT_GT(both[0].item<double>(), 0.1);
  EXPECT_EQ(both[1].item<double>(), change[1].item<double>());
}

TEST(Losses, BeingSureCostsWhereTheCueIsNotInTheHistoryAndThereAlone) {
  torch::manual_seed(2);
  VlaNet net(TinyConfig());
  const torch::NoGradGuard no_grad;
  const DemoEpisode episode = TinyEpisode(TinyConfig(), 8, 3, 1);
  Rng rng(1);
  SubHistory knows = DrawSubHistory(episode, {.max_blocks = 100, .chunk_blocks = 2}, rng);
  SubHistory guesses = knows;
  guesses.holds_cue = false;
  const Batch batch = MakeBatch({&episode, &episode}, {knows, guesses}, TinyConfig(),
                                torch::tensor({0, 2, 3, 4}, torch::kInt64));
  HeadOutputs outputs = TrainingForward(net, batch, Told::kNothing);
  outputs.target.zero_();
  EXPECT_NEAR(ComputeLosses(outputs, batch).unsure.abs().max().item<double>(), 0.0, 1e-6);
  Batch two = batch;
  two.choices = torch::zeros_like(batch.choices);
  two.choices.narrow(1, 0, 2).fill_(1);
  EXPECT_GT(ComputeLosses(outputs, two).unsure.max().item<double>(), 0.1);
  outputs.target.narrow(-1, 2, outputs.target.size(-1) - 2).sub_(30.0);  // between the first two
  EXPECT_NEAR(ComputeLosses(outputs, two).unsure.abs().max().item<double>(), 0.0, 1e-3);
  outputs.target.zero_();
  outputs.target.select(-1, 1).add_(10.0);  // sure, and of the right class
  const BlockLosses losses = ComputeLosses(outputs, batch);
  EXPECT_EQ(losses.unsure_valid[0].sum().item<double>(), 0.0);
  EXPECT_EQ(losses.unsure_valid[1].sum().item<double>(), 3.0);  // the blocks of the decision
  EXPECT_EQ(losses.unsure[0].abs().sum().item<double>(), 0.0);
  EXPECT_GT(losses.unsure[1].sum().item<double>(), 3.0);
}

TEST(Losses, TargetsAreCountedAtTheCueOnTheWayAndAtTheDecision) {
  Batch batch;
  HeadOutputs outputs;
  batch.samples = 1;
  batch.blocks = 5;
  batch.target_class = torch::tensor({{0, 1, 1, 2, 2}}, torch::kInt64);
  batch.target_known = torch::tensor({{1.0F, 1.0F, 1.0F, 1.0F, 0.0F}});
  batch.uses_target = torch::tensor({{0.0F, 1.0F, 1.0F, 1.0F, 1.0F}});
  batch.decision = torch::tensor({{0.0F, 0.0F, 1.0F, 1.0F, 1.0F}});
  batch.fresh = torch::tensor({{0.0F, 1.0F, 0.0F, 1.0F, 0.0F}});
  outputs.target = torch::one_hot(torch::tensor({{0, 1, 0, 2, 2}}, torch::kInt64), 3);
  const auto count = [&](Counted counted) {
    const TargetCount of = CountTargets(outputs, batch, counted)[0];
    return std::make_pair(of.right, of.known);
  };
  EXPECT_EQ(count(Counted::kCue), std::make_pair(1.0, 1.0));
  EXPECT_EQ(count(Counted::kUse), std::make_pair(2.0, 3.0));
  EXPECT_EQ(count(Counted::kDecision), std::make_pair(1.0, 1.0));
}

TEST(Losses, WhichCueABlockSeesIsLearntWhereTheHistoryTellsIt) {
  torch::manual_seed(2);
  PolicyConfig sizes = TinyConfig();
  sizes.cue_orders = 3;
  VlaNet net(sizes);
  const torch::NoGradGuard no_grad;
  DemoEpisode episode = TinyEpisode(sizes, 8, 1, 1);
  episode.cue_blocks = {{1, 2}, {3, 5}};
  Rng rng(1);
  SubHistory knows = DrawSubHistory(episode, {.max_blocks = 100, .chunk_blocks = 2}, rng);
  SubHistory guesses = knows;
  guesses.holds_cue = false;
  const Batch batch = MakeBatch({&episode, &episode}, {knows, guesses}, sizes,
                                torch::tensor({0, 2, 3, 4}, torch::kInt64));
  const std::vector<int64_t> expected = {-1, 0, -1, 1, 1, -1, -1, -1};
  EXPECT_TRUE(torch::equal(batch.cue_order[0], torch::tensor(expected)));
  EXPECT_TRUE(torch::equal(batch.cue_order[1], torch::full({8}, -1, torch::kInt64)));
  HeadOutputs outputs = TrainingForward(net, batch, Told::kNothing);
  outputs.order.zero_();
  outputs.order.select(-1, 1).add_(10.0);  // sure that it is the second one
  const torch::Tensor loss = ComputeLosses(outputs, batch).order;
  EXPECT_GT(loss[0][1].item<double>(), 5.0);
  EXPECT_LT(loss[0][3].item<double>(), 0.1);
  EXPECT_EQ(loss[1].abs().sum().item<double>(), 0.0);
}

}  // namespace
}  // namespace kvla
