// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/net/recurrent_memory.h"

#include <gtest/gtest.h>

#include "tests/policy/tiny_policy.h"

namespace kvla {
namespace {

PolicyConfig Recurrent() {
  PolicyConfig config = TinyConfig();
  config.memory = "recurrent";
  config.recurrent_size = 24;
  return config;
}

class RecurrentMemoryTest : public testing::Test {
 protected:
  RecurrentMemoryTest() {
    torch::manual_seed(8);
    memory_ = RecurrentMemory(config_);
  }
  torch::Tensor Blocks(int64_t samples, int64_t count) const {
    return torch::randn({samples, count, config_.tokens_per_block(), config_.hidden_size});
  }
  torch::Tensor Zero(int64_t samples) const {
    return torch::zeros({samples, config_.recurrent_size});
  }

  const PolicyConfig config_ = Recurrent();
  RecurrentMemory memory_{nullptr};
};

TEST_F(RecurrentMemoryTest, AHistoryInPiecesHasTheStatesOfTheWhole) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor blocks = Blocks(3, 9), told = torch::randn({3, config_.hidden_size});
  const torch::Tensor whole = memory_->States(blocks, told, Zero(3));
  torch::Tensor before = Zero(3);
  for (int64_t i = 0; i < 9; ++i) {
    before = memory_->States(blocks.narrow(1, i, 1), told, before).select(1, 0);
    EXPECT_TRUE(torch::allclose(before, whole.select(1, i), 1e-5, 1e-6)) << i;
  }
  // One instruction serves all samples, and another one gives other states.
  const torch::Tensor one = memory_->States(blocks, told.narrow(0, 0, 1), Zero(3));
  EXPECT_TRUE(torch::allclose(one[0], whole[0]));
  EXPECT_GT((one[1] - whole[1]).abs().max().item<float>(), 1e-3F);
}

// Half a unit's life is what its update gate says where the rest of the gate is silent.
TEST_F(RecurrentMemoryTest, UnitsBeginWithTimesFromOneBlockToHundreds) {
  const torch::Tensor bias = memory_->named_parameters()["gru.bias_ih_l0"].narrow(
      0, config_.recurrent_size, config_.recurrent_size);
  const torch::Tensor blocks_kept = bias.exp();  // sigmoid(b) / (1 - sigmoid(b))
  EXPECT_LT(blocks_kept.min().item<float>(), 4);
  EXPECT_GT(blocks_kept.max().item<float>(), 100);
  EXPECT_LE(blocks_kept.max().item<float>(), 512);
}

TEST_F(RecurrentMemoryTest, AGradientGoesBackAsFarAsItIsSaidTo) {
  const int64_t count = 2 * kGradientBlocks;
  const torch::Tensor blocks = Blocks(1, count).requires_grad_(true);
  const torch::Tensor states =
      memory_->States(blocks, torch::randn({1, config_.hidden_size}), Zero(1));
  states.select(1, count - 1).sum().backward();
  const torch::Tensor reach = blocks.grad().abs().sum({0, 2, 3});
  EXPECT_GT(reach[count - 1].item<float>(), 0);
  EXPECT_GT(reach[kGradientBlocks].item<float>(), 0);
  EXPECT_EQ(reach[kGradientBlocks - 1].item<float>(), 0);
}

TEST_F(RecurrentMemoryTest, TokensSayTheState) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor tokens = memory_->Tokens(torch::randn({2, 5, config_.recurrent_size}));
  EXPECT_EQ(tokens.sizes(), (at::IntArrayRef{2, 5, config_.recurrent_tokens, config_.hidden_size}));
  EXPECT_GT((tokens[0] - tokens[1]).abs().min().item<float>(), 0);
}

}  // namespace
}  // namespace kvla
