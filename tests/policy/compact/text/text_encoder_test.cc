// SPDX-License-Identifier: Apache-2.0
// Agreement with the published implementation: tests/policy/data/text_reference.json, which
// make_text_reference.py beside it writes.
#include "policy/compact/text/text_encoder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/scratch_dir.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

constexpr double kTolerance = 1e-5;
constexpr double kReferenceUnit = 1e-7;

fs::path Folder() { return TextEncoderFolder(KVLA_ASSET_ROOT); }

nlohmann::json ReferenceRows() {
  std::ifstream file("tests/policy/data/text_reference.json");
  return nlohmann::json::parse(file).at("rows");
}

TEST(WordPiece, IdsAreThoseOfTheReference) {
  const Result<WordPiece> tokenizer = WordPiece::Load(Folder() / kTextVocabularyFile);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  const nlohmann::json rows = ReferenceRows();
  ASSERT_GE(rows.size(), 40U);
  for (const nlohmann::json& row : rows) {
    const std::string text = row.at("text");
    EXPECT_EQ(tokenizer->Encode(text, TextEncoder::kMaxTokens),
              row.at("ids").get<std::vector<int64_t>>())
        << text;
  }
}

TEST(WordPiece, BasicTokensSplitAndFold) {
  EXPECT_EQ(WordPiece::BasicTokens("  Don't press \u00c9L\u00c8VE's\t\u7ea2\u8272-one "),
            (std::vector<std::string>{"don", "'", "t", "press", "eleve", "'", "s", "\u7ea2",
                                      "\u8272", "-", "one"}));
  EXPECT_TRUE(WordPiece::BasicTokens(" \n ").empty());
}

TEST(WordPiece, BytesThatAreNoTextAreLeftOut) {
  EXPECT_EQ(WordPiece::BasicTokens("re\xff\xfe"
                                   "d \xc3"),
            (std::vector<std::string>{"red"}));
}

TEST(WordPiece, AnotherVocabularyIsBadInput) {
  const ScratchDir scratch;
  std::ofstream(scratch.path() / "vocab.txt") << "[PAD]\n[UNK]\nred\n";
  const Result<WordPiece> tokenizer = WordPiece::Load(scratch.path() / "vocab.txt");
  ASSERT_FALSE(tokenizer.ok());
  EXPECT_NE(tokenizer.status().message().find("[CLS]"), std::string::npos);
}

TEST(TextEncoder, EmbeddingsAreThoseOfTheReference) {
  torch::set_num_threads(1);
  const Result<TextEncoder> encoder = TextEncoder::Load(Folder());
  ASSERT_TRUE(encoder.ok()) << encoder.status().message();
  double worst = 0;
  for (const nlohmann::json& row : ReferenceRows()) {
    const std::string text = row.at("text");
    const torch::Tensor got = encoder->Embed(text);
    const torch::Tensor expected =
        torch::tensor(row.at("embedding").get<std::vector<double>>(), torch::kFloat64) *
        kReferenceUnit;
    ASSERT_EQ(got.sizes(), expected.sizes());
    const double difference = (got - expected).abs().max().item<double>();
    EXPECT_LT(difference, kTolerance) << text;
    worst = std::max(worst, difference);
  }
  RecordProperty("worst_difference", fmt::format("{:.3g}", worst));
}

TEST(TextEncoder, ParaphrasesAreNearerThanOtherTasks) {
  const Result<TextEncoder> encoder = TextEncoder::Load(Folder());
  ASSERT_TRUE(encoder.ok()) << encoder.status().message();
  const auto alike = [&](const char* a, const char* b) {
    return encoder->Embed(a).dot(encoder->Embed(b)).item<double>();
  };
  EXPECT_GT(alike("press the red button", "push the red knob"),
            alike("press the red button", "lift the cup that hides the block"));
}

TEST(TextEncoder, OtherWeightsAreBadInput) {
  const ScratchDir scratch;
  EXPECT_NE(TextEncoder::Load(scratch.path()).status().message().find("setup.sh"),
            std::string::npos);
  fs::copy_file(Folder() / kTextVocabularyFile, scratch.path() / kTextVocabularyFile);
  fs::copy_file(Folder() / kTextWeightsFile, scratch.path() / kTextWeightsFile);
  std::fstream file(scratch.path() / kTextWeightsFile,
                    std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(-3, std::ios::end);
  file.put('\x01');
  file.close();
  const Result<TextEncoder> encoder = TextEncoder::Load(scratch.path());
  ASSERT_FALSE(encoder.ok());
  EXPECT_EQ(encoder.status().code(), StatusCode::kBadInput);
  EXPECT_NE(encoder.status().message().find("not the published"), std::string::npos);
}

}  // namespace
}  // namespace kvla
