// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/parallel_backward.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace kvla {
namespace {

class ParallelBackwardTest : public testing::Test {
 protected:
  ParallelBackwardTest() {
    torch::manual_seed(1);
    weight_ = torch::randn({6, 4}).requires_grad_();
    bias_ = torch::randn({6}).requires_grad_();
    for (int i = 0; i < kParts; ++i) inputs_.push_back(torch::randn({3 + i, 4}));
  }

  torch::Tensor Loss(size_t part) const {
    return torch::linear(inputs_[part], weight_, bias_).square().sum();
  }

  static constexpr int kParts = 5;
  torch::Tensor weight_, bias_;
  std::vector<torch::Tensor> inputs_;
};

TEST_F(ParallelBackwardTest, SumsWhatBackwardOnThePartsSums) {
  double total = 0;
  for (size_t i = 0; i < kParts; ++i) {
    const torch::Tensor loss = Loss(i);
    loss.backward();
    total += loss.item<double>();
  }
  const torch::Tensor weight = weight_.grad().clone(), bias = bias_.grad().clone();
  EXPECT_NEAR(ParallelBackward({weight_, bias_}, kParts, 2, [&](size_t i) { return Loss(i); }),
              total, 1e-6 * total);
  EXPECT_TRUE(torch::allclose(weight_.grad(), weight, 1e-6));
  EXPECT_TRUE(torch::allclose(bias_.grad(), bias, 1e-6));
}

TEST_F(ParallelBackwardTest, IsTheSameToTheBitForAnyNumberOfThreads) {
  ParallelBackward({weight_, bias_}, kParts, 1, [&](size_t i) { return Loss(i); });
  const torch::Tensor weight = weight_.grad().clone();
  for (const int threads : {2, 3, 8}) {
    for (int again = 0; again < 20; ++again) {
      ParallelBackward({weight_, bias_}, kParts, threads, [&](size_t i) { return Loss(i); });
      ASSERT_TRUE(torch::equal(weight_.grad(), weight)) << threads;
    }
  }
}

TEST_F(ParallelBackwardTest, WhatNoPartNeedsHasNoGradientAndWhatOneNeedsHas) {
  const torch::Tensor unused = torch::ones({2}).requires_grad_();
  ParallelBackward({weight_, bias_, unused}, 2, 2, [&](size_t i) {
    return i == 0 ? Loss(0) : torch::linear(inputs_[1], weight_).sum();
  });
  EXPECT_FALSE(unused.grad().defined());
  EXPECT_TRUE(bias_.grad().defined());
  // Left from the step before, it would be applied once more.
  ParallelBackward({weight_, bias_}, 1, 1, [&](size_t) { return weight_.sum(); });
  EXPECT_FALSE(bias_.grad().defined());
}

TEST_F(ParallelBackwardTest, AFailingPartIsTheCallersError) {
  EXPECT_THROW(ParallelBackward({weight_, bias_}, kParts, 2,
                                [&](size_t i) {
                                  if (i == 3) throw std::runtime_error("part 3");
                                  return Loss(i);
                                }),
               std::runtime_error);
}

}  // namespace
}  // namespace kvla
