// SPDX-License-Identifier: Apache-2.0
#include "policy/backbones/processors.h"

#include <gtest/gtest.h>

#include "tensors/torch.h"

namespace kvla {
namespace {

// Of LeRobot's normalize_processor.py, by hand.
TEST(Normalizer, EachModeIsLeRobots) {
  const at::Tensor low = torch::tensor({-1.0F, 2.0F, 5.0F}),
                   high = torch::tensor({3.0F, 4.0F, 5.0F});
  const at::Tensor x = torch::tensor({1.0F, 2.5F, 5.0F});
  const struct {
    NormMode mode;
    const char *low, *high;
    std::vector<float> want;
  } cases[] = {{NormMode::kIdentity, "", "", {1, 2.5F, 5}},
               {NormMode::kMeanStd, "mean", "std", {2.0F / 3, 0.125F, 0}},
               // Where both ends are one, what equals them is -1.
               {NormMode::kMinMax, "min", "max", {0, -0.5F, -1}},
               {NormMode::kQuantiles, "q01", "q99", {0, -0.5F, -1}},
               {NormMode::kQuantile10, "q10", "q90", {0, -0.5F, -1}}};
  for (const auto& c : cases) {
    const auto made = Normalizer::Create(c.mode, 3, 1e-8, {{c.low, low}, {c.high, high}});
    ASSERT_TRUE(made.ok()) << made.status().message();
    EXPECT_TRUE(torch::allclose(made->Normalize(x), torch::tensor(c.want), 1e-6, 1e-6)) << c.low;
    EXPECT_TRUE(torch::allclose(made->Unnormalize(made->Normalize(x)), x, 1e-6, 1e-6)) << c.low;
  }
}

TEST(Normalizer, StatisticsThatAreMissingOrOfAnotherSizeAreNamed) {
  const at::Tensor x = torch::ones({3});
  const auto expect = [](const Result<Normalizer>& made, const char* what) {
    EXPECT_EQ(made.status().code(), StatusCode::kBadInput);
    EXPECT_NE(made.status().message().find(what), std::string::npos) << made.status().message();
  };
  expect(Normalizer::Create(NormMode::kMeanStd, 3, 1e-8, {{"mean", x}}), "'std'");
  expect(Normalizer::Create(NormMode::kMinMax, 4, 1e-8, {{"min", x}, {"max", x}}), "'min' of 4");
}

TEST(ProcessorFile, SaysWhatHappensToNamesAndPrompts) {
  const auto file = ParseProcessorFile(R"({"steps": [
      {"registry_name": "rename_observations_processor", "config": {"rename_map": {"a": "b"}}},
      {"registry_name": "smolvla_new_line_processor"},
      {"registry_name": "tokenizer_processor", "config": {"max_length": 48}}]})");
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->renamed.at("a"), "b");
  EXPECT_TRUE(file->newline);
  EXPECT_EQ(file->max_prompt, 48);
}

TEST(ProcessorFile, WhatIsNoneIsRefused) {
  for (const char* text :
       {"", "[]", "{}", R"({"steps": 1})", R"({"steps": [1]})", R"({"steps": [{}]})",
        R"({"steps": [{"registry_name": "tokenizer_processor", "config": {"max_length": -1}}]})",
        R"({"steps": [{"registry_name": "normalizer_processor"}]})"}) {
    EXPECT_EQ(ParseProcessorFile(text).status().code(), StatusCode::kBadInput) << text;
  }
}

}  // namespace
}  // namespace kvla
