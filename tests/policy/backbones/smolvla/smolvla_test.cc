// SPDX-License-Identifier: Apache-2.0
// Against LeRobot's own code, stage by stage: make_tiny_checkpoints.py ran it.
#include "policy/backbones/smolvla/smolvla.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "kv_efficient/cost_model.h"
#include "kv_efficient/kv_cache.h"
#include "policy/backbones/smolvla/smolvla_flops.h"
#include "tests/flop_counter.h"
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

// The prefix lies in the project's cache, in the type that it holds; f32 is exact.
TEST_P(SmolVlaTest, ThroughTheCacheItIsTheSame) {
  const int images = static_cast<int>(std::ranges::count_if(
                input_.images, [](const at::Tensor&image) { return image.defined(); })),
            prompt = static_cast<int>(input_.prompt.size());
  const CacheGeometry geometry = model_->Geometry(images, prompt);
  for (const auto& [storage, tolerance] :
       std::map<std::string, double>{{"f32", kTolerance}, {"bf16", 0.3}}) {
    CacheConfig config;
    config.policy = "full";
    config.storage = storage;
    auto cache = KvCache::Create(geometry, config, at::kCPU);
    ASSERT_TRUE(cache.ok()) << cache.status().message();
    (*cache)->Reset({});
    ASSERT_TRUE((*cache)->BeginBlock().ok());
    CachedPrefix prefix(cache->get());
    const Result<at::Tensor> actions = model_->Actions(input_, &prefix);
    ASSERT_TRUE(actions.ok()) << actions.status().message();
    ASSERT_TRUE((*cache)->EndBlock().ok());
    const double off = (*actions - stages_.at("actions")).abs().max().item<double>();
    EXPECT_LT(off, tolerance) << storage;
    if (storage == "bf16") {
      EXPECT_GT(off, 1e-4) << "it was not held in bf16";
    }
    const int tokens = geometry.tokens_per_block;
    const auto bytes = static_cast<double>((*cache)->stats().cost.kv_live_bytes);
    const auto plain = static_cast<double>(KvBytes(geometry, tokens));
    if (storage == "f32") {
      EXPECT_EQ(bytes, plain);
    } else {
      EXPECT_NEAR(bytes / plain, 0.5, 0.02);  // pages are aligned
    }
    // The state alone sees itself.
    const double met = tokens - 1 + 1.0 / tokens;
    EXPECT_NEAR((*cache)->stats().cost.attended_tokens, met, 1);
  }
}

TEST_P(SmolVlaTest, FlopsAreThoseThatAreCounted) {
  const int images = static_cast<int>(std::ranges::count_if(
      input_.images, [](const at::Tensor& image) { return image.defined(); }));
  const FlopCounter counter;
  ASSERT_TRUE(model_->Actions(input_).ok());
  const double counted = counter.total();
  const SmolVlaFlops stated =
      SmolVlaFlopsOf(model_->config(), images, static_cast<int>(input_.prompt.size()));
  EXPECT_NEAR(stated.total() / counted, 1, 0.01);
}

TEST_P(SmolVlaTest, AnInputThatDoesNotFitIsRefused) {
  const auto expect = [&](const SmolVlaInput& input, const char* what) {
    const Status status = model_->Actions(input).status();
    EXPECT_EQ(status.code(), StatusCode::kBadInput);
    EXPECT_NE(status.message().find(what), std::string::npos) << status.message();
  };
  SmolVlaInput bad = input_;
  bad.images.push_back(bad.images[0]);
  expect(bad, "cameras");
  bad = input_;
  for (at::Tensor& image : bad.images) image = at::Tensor();
  expect(bad, "no image");
  bad = input_;
  bad.images[0] = bad.images[0].to(at::kFloat);
  expect(bad, model_->config().cameras[0].name.c_str());
  bad = input_;
  bad.state = torch::zeros({model_->config().max_state + 1});
  expect(bad, "state");
  bad = input_;
  bad.noise = bad.noise.narrow(0, 1, 2);
  expect(bad, "noise");
  bad = input_;
  bad.prompt[0] = model_->config().vlm.vocabulary;
  expect(bad, "token");
  bad.prompt.assign(model_->config().max_prompt + 1, 0);
  expect(bad, "prompt");
}

INSTANTIATE_TEST_SUITE_P(Tiny, SmolVlaTest, testing::ValuesIn(kTinySmolVlas),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace kvla
