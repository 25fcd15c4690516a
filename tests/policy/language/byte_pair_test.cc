// SPDX-License-Identifier: Apache-2.0
#include "policy/language/byte_pair.h"

#include <gtest/gtest.h>

#include "policy/language/pieces.h"
#include "tests/policy/language/byte_tokens.h"

namespace kvla {
namespace {

using Pieces = std::vector<std::string_view>;
using Ids = std::vector<int64_t>;

// As Python's `regex` cuts them by GPT-2's pattern.
TEST(Pieces, AreThoseOfGpt2sPattern) {
  EXPECT_EQ(SplitWords("Hello, world!"), (Pieces{"Hello", ",", " world", "!"}));
  EXPECT_EQ(SplitWords("it's we'll I'D"), (Pieces{"it", "'s", " we", "'ll", " I", "'", "D"}));
  EXPECT_EQ(SplitWords("a  b"), (Pieces{"a", " ", " b"}));
  EXPECT_EQ(SplitWords("a \n b\t"), (Pieces{"a", " \n", " b", "\t"}));
  EXPECT_EQ(SplitWords("a\nb"), (Pieces{"a", "\n", "b"}));
  EXPECT_EQ(SplitWords("x1 23½"), (Pieces{"x", "1", " 23½"}));
  EXPECT_EQ(SplitWords("naïve 世界 😀!"), (Pieces{"naïve", " 世界", " 😀!"}));
  EXPECT_EQ(SplitWords("  "), (Pieces{"  "}));
  EXPECT_EQ(SplitWords("a\u00a0b"), (Pieces{"a", "\u00a0", "b"}));
  EXPECT_TRUE(SplitWords("").empty());
}

TEST(Pieces, CoverAnyBytes) {
  for (const std::string text : {"a\xff\xfe b", "\xe4\xb8", "\xf0\x9f\x98", " \x80 '"}) {
    for (const auto split : {SplitWords, SplitDigits}) {
      std::string joined;
      for (const std::string_view piece : split(text)) joined += piece;
      EXPECT_EQ(joined, text);
    }
  }
}

TEST(Pieces, EachDigitIsAPieceOfItsOwn) {
  EXPECT_EQ(SplitDigits("ab12 c3"), (Pieces{"ab", "1", "2", " c", "3"}));
  EXPECT_EQ(SplitDigits("٣½"), (Pieces{"٣", "½"}));
}

// Every byte, and what these merges make.
nlohmann::json Metadata(const std::vector<std::pair<std::string, std::string>>& merges) {
  nlohmann::json metadata = {{"tokenizer.ggml.model", "gpt2"}, {"tokenizer.ggml.pre", "smollm"}};
  nlohmann::json tokens = ByteTokens(), list = nlohmann::json::array();
  for (const auto& [a, b] : merges) {
    tokens.push_back(a + b);
    list.push_back(a + " " + b);
  }
  metadata["tokenizer.ggml.tokens"] = tokens;
  metadata["tokenizer.ggml.merges"] = list;
  return metadata;
}

TEST(BytePair, MergesInTheOrderOfTheRanksAndGivesTheBytesBack) {
  // "Ġ" is a blank.
  const Result<BytePair> made =
      BytePair::FromGguf(Metadata({{"l", "o"}, {"a", "l"}, {"Ġ", "lo"}, {"lo", "lo"}}));
  ASSERT_TRUE(made.ok()) << made.status().message();
  const auto text = [&](const Ids& ids) {
    std::vector<std::string> all;
    for (const int64_t id : ids) all.push_back(made->Decode(Ids{id}));
    return all;
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(text(made->Encode("alo")), (Texts{"a", "lo"}));  // "lo" has the lower rank
  EXPECT_EQ(text(made->Encode("lololo")), (Texts{"lolo", "lo"}));
  EXPECT_EQ(text(made->Encode("x lo")), (Texts{"x", " lo"}));
  EXPECT_EQ(text(made->Encode("al1al")), (Texts{"al", "1", "al"}));
  for (const std::string any : {"naïve 😀\n\t 2048", "\xff\x00lo", ""}) {
    EXPECT_EQ(made->Decode(made->Encode(any)), any);
  }
}

TEST(BytePair, ReadsATokenizerFileOfEitherKind) {
  nlohmann::json vocabulary;
  const nlohmann::json metadata = Metadata({{"l", "o"}});
  for (const auto& token : metadata["tokenizer.ggml.tokens"]) {
    vocabulary[token.get<std::string>()] = vocabulary.size();
  }
  const nlohmann::json level = {
      {"model",
       {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", nlohmann::json::array({"l o"})}}},
      {"added_tokens",
       nlohmann::json::array({{{"id", vocabulary.size()}, {"content", "<|end|>"}}})},
      {"pre_tokenizer",
       {{"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "Digits"}, {"individual_digits", true}},
          {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}}}}}};
  const Result<BytePair> made = BytePair::FromJson(level);
  ASSERT_TRUE(made.ok()) << made.status().message();
  const auto end = static_cast<int64_t>(vocabulary.size());
  const Ids ids = made->Encode("lo<|end|>l");
  EXPECT_EQ(ids, (Ids{end - 1, end, vocabulary["l"].get<int64_t>()}));
  EXPECT_EQ(made->Decode(ids), "lo<|end|>l");
  EXPECT_EQ(made->rules(), (PairRules{.digits = true, .words = true}));

  const nlohmann::json marks = {
      {"model",
       {{"type", "BPE"},
        {"byte_fallback", true},
        {"vocab",
         {{"<unk>", 0},
          {"\u2581", 1},
          {"a", 2},
          {"b", 3},
          {"\u2581a", 4},
          {"<0xC3>", 5},
          {"<0xA9>", 6}}},
        {"merges", nlohmann::json::array({nlohmann::json::array({"\u2581", "a"})})}}},
      {"normalizer",
       {{"type", "Sequence"},
        {"normalizers",
         {{{"type", "Prepend"}, {"prepend", "\u2581"}},
          {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}}}}}}};
  const Result<BytePair> llama = BytePair::FromJson(marks);
  ASSERT_TRUE(llama.ok()) << llama.status().message();
  EXPECT_EQ(llama->Encode("ab aé"), (Ids{4, 3, 4, 5, 6}));
  EXPECT_EQ(llama->Decode(llama->Encode("ab aé")), "ab aé");
  EXPECT_EQ(llama->Encode("z"), (Ids{1, 0}));
}

TEST(BytePair, WhatItDoesNotKnowIsRefused) {
  const auto message = [](const nlohmann::json& file) {
    const Status status = BytePair::FromJson(file).status();
    EXPECT_EQ(status.code(), StatusCode::kBadInput);
    return status.message();
  };
  EXPECT_NE(message({{"model", {{"type", "Unigram"}}}}).find("BPE"), std::string::npos);
  EXPECT_NE(message({{"model", {{"type", "BPE"}}}, {"pre_tokenizer", {{"type", "Punctuation"}}}})
                .find("Punctuation"),
            std::string::npos);
  nlohmann::json metadata = Metadata({{"l", "o"}});
  metadata["tokenizer.ggml.merges"].push_back("l x");
  EXPECT_NE(BytePair::FromGguf(metadata).status().message().find("'l' and 'x'"), std::string::npos);
  metadata["tokenizer.ggml.pre"] = "llama-bpe";
  EXPECT_NE(BytePair::FromGguf(metadata).status().message().find("llama-bpe"), std::string::npos);
}

}  // namespace
}  // namespace kvla
