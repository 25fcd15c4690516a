// SPDX-License-Identifier: Apache-2.0
// Against LeRobot's own code, stage by stage: make_tiny_checkpoints.py ran it.
#include "policy/backbones/smolvla/smolvla.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/policy/backbones/smolvla/tiny_smolvla.h"

namespace kvla {
namespace {

constexpr double kTolerance = 1e-4;

class SmolVlaTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto loaded = SmolVla::Load(TinySmolVla(GetParam()));
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    model_ = std::move(*loaded);
    auto stages = TinyStages(GetParam());
    ASSERT_TRUE(stages.ok()) << stages.status().message();
    stages_ = *std::move(stages);
    input_ = InputOf(stages_, model_->config().cameras.size());
  }
  std::unique_ptr<SmolVla> model_;
  Stages stages_;
  SmolVlaInput input_;
};

TEST_P(SmolVlaTest, EveryStageIsThatOfLeRobot) {
  std::set<std::string> seen;
  double largest = 0;
  PlainPrefix prefix(model_->config().vlm.text.layers);
  const auto compare = [&](const std::string& name, const at::Tensor& value) {
    const auto want = stages_.find(name);
    ASSERT_NE(want, stages_.end()) << name << " is no stage of LeRobot's";
    ASSERT_EQ(value.sizes(), want->second.sizes()) << name;
    const double off = (value - want->second).abs().max().item<double>();
    EXPECT_LT(off, kTolerance) << name;
    largest = std::max(largest, off);
    EXPECT_TRUE(seen.insert(name).second) << name << " came twice";
  };
  const Result<at::Tensor> actions = model_->Actions(input_, &prefix, compare);
  ASSERT_TRUE(actions.ok()) << actions.status().message();
  RecordProperty("largest_difference", std::to_string(largest));
  for (const auto& [name, value] : stages_) {
    if (name.starts_with("input.") || name == "prefix.mask") continue;
    EXPECT_TRUE(seen.contains(name)) << name << " was not reached";
  }
  EXPECT_GE(seen.size(), 49U);
}

INSTANTIATE_TEST_SUITE_P(Tiny, SmolVlaTest, testing::ValuesIn(kTinySmolVlas),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace kvla
