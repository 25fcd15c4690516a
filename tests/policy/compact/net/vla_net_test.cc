// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/net/vla_net.h"

#include <gtest/gtest.h>

#include "policy/compact/net/shapes.h"
#include "tensors/torch.h"
#include "tests/policy/tiny_policy.h"

namespace kvla {
namespace {

class HeadsTest : public testing::Test {
 protected:
  HeadsTest() {
    torch::manual_seed(3);
    net_ = VlaNet(TinyConfig());
    const PolicyConfig& config = net_->config();
    hidden_ = torch::randn({2, 5, config.tokens_per_block(), config.hidden_size});
    proprio_ = torch::randn({2, 5, kProprioDim});
  }
  // The places of the classes `index` [2, 5]: [2, 5, 3]
  static torch::Tensor PlacesOf(const HeadOutputs& outputs, const torch::Tensor& index) {
    return outputs.places.gather(2, index.view({2, 5, 1, 1}).expand({2, 5, 1, 3})).squeeze(2);
  }

  VlaNet net_{nullptr};
  torch::Tensor hidden_, proprio_;
};

TEST_F(HeadsTest, TheGoalIsThePlaceOfTheLikeliestTarget) {
  const HeadOutputs outputs = net_->Heads(hidden_, proprio_);
  EXPECT_TRUE(torch::equal(outputs.goal, PlacesOf(outputs, outputs.target.argmax(-1))));
}

TEST_F(HeadsTest, WhatIsToldReplacesTheLikeliestTargetWhereItIsNotNegative) {
  const HeadOutputs free = net_->Heads(hidden_, proprio_);
  const torch::Tensor likeliest = free.target.argmax(-1);
  const torch::Tensor other = (likeliest + 1) % net_->config().num_target_classes;
  torch::Tensor told = other.clone();
  told.select(1, 0).fill_(-1);
  const HeadOutputs outputs = net_->Heads(hidden_, proprio_, told);
  torch::Tensor expected = other.clone();
  expected.select(1, 0).copy_(likeliest.select(1, 0));
  EXPECT_TRUE(torch::equal(outputs.goal, PlacesOf(outputs, expected)));
  // ... and the action follows the goal.
  const torch::Tensor moved = (outputs.motion - free.motion).abs().amax({-2, -1});
  EXPECT_EQ(moved.select(1, 0).max().item<float>(), 0.0F);
  EXPECT_GT(moved.narrow(1, 1, 4).min().item<float>(), 0.0F);
}

TEST_F(HeadsTest, WhereTheMotionLeadsIsOneOfTwoWhenChosen) {
  for (const std::string way : {"blend", "choose"}) {
    PolicyConfig config = TinyConfig();
    config.way = way;
    torch::manual_seed(3);
    VlaNet net(config);
    net->eval();
    const HeadOutputs outputs = net->Heads(hidden_, proprio_);
    const torch::Tensor goes = (outputs.to_goal > 0).unsqueeze(-1).expand_as(outputs.goal);
    ASSERT_TRUE(goes.any().item<bool>() && !goes.all().item<bool>());
    const torch::Tensor chosen = torch::where(goes, outputs.goal, outputs.elsewhere);
    EXPECT_EQ(torch::allclose(outputs.waypoint, chosen, 1e-5, 1e-6), way == "choose");
    net->train();
    const torch::Tensor blend = net->Heads(hidden_, proprio_).waypoint;
    EXPECT_FALSE(torch::allclose(blend, chosen, 1e-5, 1e-6));
  }
}

TEST_F(HeadsTest, PlacesInTheWorldStayWhereTheyAreWhenTheHandMoves) {
  PolicyConfig config = TinyConfig();
  for (const std::string places : {"from_hand", "world"}) {
    config.places = places;
    torch::manual_seed(3);
    VlaNet net(config);
    torch::Tensor moved = proprio_.clone();
    moved.select(-1, 1).add_(0.1);  // metres
    const torch::Tensor by =
        (net->Heads(hidden_, moved).places - net->Heads(hidden_, proprio_).places) * kWaypointScale;
    const double expected = places == "world" ? -0.1 : 0.0;
    EXPECT_LT((by.select(-1, 1) - expected).abs().max().item<double>(), 1e-5) << places;
    EXPECT_LT(by.select(-1, 0).abs().max().item<double>(), 1e-5) << places;
  }
}

}  // namespace
}  // namespace kvla
