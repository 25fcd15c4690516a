// SPDX-License-Identifier: Apache-2.0
#include "harness/language/perplexity.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/files.h"
#include "kv_efficient/methods/method_table.h"
#include "policy/language/language_model.h"
#include "tests/policy/language/tiny_llama.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

class PerplexityTest : public testing::Test {
 protected:
  PerplexityTest() {
    config_.model = (folder_ / "tiny.gguf").string();
    config_.text = (folder_ / "text").string();
    EXPECT_TRUE(WriteFileAtomic(config_.model, TinyLlama(TinyLlamaTensors())).ok());
    EXPECT_TRUE(
        WriteFileAtomic(config_.text, "It was a bright cold day in a small room of the house.")
            .ok());
    config_.tokens = 40;
    config_.unscored = 16;
    for (const char* policy : {"full", "window", "h2o"}) {
      NamedCache arm;
      arm.name = policy;
      arm.cache.policy = policy;
      arm.cache.window_blocks = 4;
      arm.cache.chunk_blocks = 2;
      if (arm.name == "h2o") arm.cache.budget_tokens = 6;
      config_.arms.push_back(arm);
    }
  }
  ScratchDir folder_;
  PerplexityConfig config_;
};

TEST_F(PerplexityTest, IsTheMeanOverTheScoredTokens) {
  int calls = 0;
  const auto rows = RunPerplexity(config_, [&](int done, const std::string&) {
    EXPECT_EQ(done, ++calls);
    return true;
  });
  ASSERT_TRUE(rows.ok()) << rows.status().message();
  ASSERT_EQ(rows->size(), 3U);
  EXPECT_EQ(calls, 3 * 39);

  auto model = *LanguageModel::LoadGguf(config_.model);
  const std::vector<int64_t> ids = model->tokenizer().Encode(*ReadFile(config_.text));
  const CacheConfig full = config_.arms[0].cache;
  const CacheGeometry g = model->Geometry(40);
  auto cache = *KvCache::Create(g, full, *MakeCachePolicy(full, g), at::kCPU);
  double sum = 0;
  for (size_t i = 0; i < 39; ++i) {
    const at::Tensor p = (*model->Step(*cache, ids[i])).softmax(0);
    if (i >= 15) sum -= std::log(p[ids[i + 1]].item<double>());
  }
  EXPECT_NEAR((*rows)[0].perplexity, std::exp(sum / 24), 1e-3 * std::exp(sum / 24));
  EXPECT_NE((*rows)[0].perplexity, (*rows)[1].perplexity);
  EXPECT_GT((*rows)[0].kv_bytes, (*rows)[2].kv_bytes);
  EXPECT_GT((*rows)[2].kv_bytes, (*rows)[1].kv_bytes);
  EXPECT_GT((*rows)[2].method_bytes, 0);
  const nlohmann::json json = PerplexityJson(config_, *rows);
  EXPECT_EQ(json["rows"][2]["budget"], "6 tokens");
  EXPECT_NE(FormatPerplexity(config_, *rows).find("h2o"), std::string::npos);
}

TEST_F(PerplexityTest, StopsWhenItIsAskedTo) {
  const auto rows = RunPerplexity(config_, [](int done, const std::string&) { return done < 5; });
  EXPECT_EQ(rows.status().code(), StatusCode::kCancelled);
}

TEST_F(PerplexityTest, BadInputIsSaid) {
  const auto message = [&](const PerplexityConfig& config) {
    const Status checked = CheckPerplexityConfig(config);
    if (!checked.ok()) return checked.message();
    return RunPerplexity(config, [](int, const std::string&) { return true; }).status().message();
  };
  PerplexityConfig config = config_;
  config.tokens = 400;
  EXPECT_NE(message(config).find("has 54 tokens"), std::string::npos) << message(config);
  config = config_;
  config.unscored = 40;
  EXPECT_NE(message(config).find("nothing is left"), std::string::npos);
  config = config_;
  config.arms[1].name = "full";
  EXPECT_NE(message(config).find("twice"), std::string::npos);
  config = config_;
  config.arms[1].cache.policy = "oracle";
  EXPECT_NE(message(config).find("does not apply"), std::string::npos);
  config = config_;
  config.model = (folder_ / "text").string();
  EXPECT_NE(message(config).find("not a GGUF"), std::string::npos);
}

}  // namespace
}  // namespace kvla
