// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/text/tokenizer.h"

#include <gtest/gtest.h>

namespace kvla {
namespace {

TEST(Tokenizer, WordsIgnoreCaseAndPunctuation) {
  EXPECT_EQ(Tokenizer::Words("Press, the  RED button!"),
            (std::vector<std::string>{"press", "the", "red", "button"}));
  EXPECT_TRUE(Tokenizer::Words(" .,").empty());
}

TEST(Tokenizer, IdsFollowTheVocabulary) {
  const Tokenizer tokenizer({"press", "button"});
  EXPECT_EQ(tokenizer.size(), 4);
  EXPECT_EQ(tokenizer.Encode("press that button", 8),
            (std::vector<int64_t>{Tokenizer::kBos, 2, Tokenizer::kUnknown, 3}));
  EXPECT_EQ(tokenizer.Encode("press that button", 2).size(), 2U);
}

}  // namespace
}  // namespace kvla
