// SPDX-License-Identifier: Apache-2.0
#include "harness/language/needle.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/files.h"
#include "base/rng.h"
#include "policy/language/language_model.h"
#include "tests/policy/language/tiny_llama.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

class NeedleTest : public testing::Test {
 protected:
  NeedleTest() {
    config_.model = (folder_ / "tiny.gguf").string();
    config_.text = (folder_ / "text").string();
    std::string text;
    for (int i = 0; i < 300; ++i) text += "A line of the text. ";
    EXPECT_TRUE(WriteFileAtomic(config_.model, TinyLlama(TinyLlamaTensors())).ok());
    EXPECT_TRUE(WriteFileAtomic(config_.text, text).ok());
    config_.lengths = {300};
    config_.depths = {0, 1};
    config_.trials = 2;
    NamedCache arm;
    arm.name = "window";
    arm.cache.policy = "window";
    config_.arms = {arm};
  }
  ScratchDir folder_;
  NeedleConfig config_;
};

TEST_F(NeedleTest, APromptHoldsTheFactWhereItsDepthSaysAndAsksForIt) {
  const auto model = *LanguageModel::LoadGguf(config_.model);
  const BytePair& tokenizer = model->tokenizer();
  const std::vector<int64_t> passage = tokenizer.Encode(*ReadFile(config_.text));
  std::vector<size_t> places;
  for (const double depth : {0.0, 0.5, 1.0}) {
    const auto prompt = MakeNeedlePrompt(tokenizer, passage, 400, depth, 7);
    ASSERT_TRUE(prompt.ok()) << prompt.status().message();
    EXPECT_EQ(prompt->ids.size(), 400U);
    const std::string text = tokenizer.Decode(prompt->ids);
    const std::string answer = tokenizer.Decode(prompt->answer);
    EXPECT_EQ(answer.size(), 5U);
    places.push_back(text.find(" is" + answer + "."));
    EXPECT_NE(places.back(), std::string::npos) << text;
    EXPECT_TRUE(text.ends_with(" is")) << text;
  }
  EXPECT_LT(places[0], 70U);
  EXPECT_LT(places[0], places[1]);
  EXPECT_LT(places[1], places[2]);
  // Another stream, another fact.
  EXPECT_NE(MakeNeedlePrompt(tokenizer, passage, 400, 0, 8)->answer,
            MakeNeedlePrompt(tokenizer, passage, 400, 0, 7)->answer);
}

TEST_F(NeedleTest, CountsByArmLengthAndDepth) {
  int calls = 0;
  const auto cells = RunNeedle(config_, [&](int, const std::string&) { return ++calls > 0; });
  ASSERT_TRUE(cells.ok()) << cells.status().message();
  ASSERT_EQ(cells->size(), 2U);
  EXPECT_EQ(calls, 4);
  EXPECT_EQ((*cells)[1].depth, 1);
  EXPECT_EQ((*cells)[1].trials, 2);
  EXPECT_GT((*cells)[1].kv_bytes, 0);
  EXPECT_NE(FormatNeedle(config_, *cells).find("300 tokens"), std::string::npos);
  EXPECT_EQ(NeedleJson(config_, *cells)["rows"].size(), 2U);
  const std::string svg = NeedleSvg(config_, *cells);
  EXPECT_NE(svg.find("window, 300 tokens"), std::string::npos);
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  const auto stopped = RunNeedle(config_, [](int, const std::string&) { return false; });
  EXPECT_EQ(stopped.status().code(), StatusCode::kCancelled);
}

TEST_F(NeedleTest, BadInputIsSaid) {
  NeedleConfig config = config_;
  config.lengths = {40};
  EXPECT_NE(CheckNeedleConfig(config).message().find("40 is not within"), std::string::npos);
  config = config_;
  config.depths = {1.5};
  EXPECT_NE(CheckNeedleConfig(config).message().find("1.5"), std::string::npos);
  config = config_;
  config.lengths = {20000};
  const auto cells = RunNeedle(config, [](int, const std::string&) { return true; });
  EXPECT_NE(cells.status().message().find("of the text, which has 6000"), std::string::npos)
      << cells.status().message();
}

}  // namespace
}  // namespace kvla
