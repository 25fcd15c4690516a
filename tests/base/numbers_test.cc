// SPDX-License-Identifier: Apache-2.0
#include "base/numbers.h"

#include <gtest/gtest.h>

#include <limits>

namespace kvla {
namespace {

TEST(NumbersTest, WholeNumbersAreDecimalWhateverStandsInFront) {
  EXPECT_EQ(*ParseInteger("10"), 10);
  EXPECT_EQ(*ParseInteger("010"), 10);
  EXPECT_EQ(*ParseInteger("08"), 8);
  EXPECT_EQ(*ParseInteger("-010"), -10);
  EXPECT_EQ(*ParseInteger("+5"), 5);
  EXPECT_EQ(*ParseInteger("-9223372036854775808"), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(*ParseUnsigned("018446744073709551615"), std::numeric_limits<uint64_t>::max());
}

TEST(NumbersTest, OtherNotationsAreNoWholeNumbers) {
  for (const char* text : {"", " 5", "5 ", "0x10", "1e2", "1.0", "five", "+-5", "-+5", "--5", "-",
                           "+", "5k", "1/2", "9223372036854775808"}) {
    const Result<int64_t> number = ParseInteger(text);
    ASSERT_FALSE(number.ok()) << text;
    EXPECT_EQ(number.status().code(), StatusCode::kBadInput);
  }
  EXPECT_FALSE(ParseUnsigned("-1").ok());
  EXPECT_FALSE(ParseUnsigned("18446744073709551616").ok());
  EXPECT_EQ(ParseInteger("0x\x1b").status().message(),
            "'0x\\x1b' is not a whole number in decimal, as in 10");
}

TEST(NumbersTest, NumbersAreDecimalAndFinite) {
  EXPECT_EQ(*ParseNumber("00.50"), 0.5);
  EXPECT_EQ(*ParseNumber(".5"), 0.5);
  EXPECT_EQ(*ParseNumber("-.5"), -0.5);
  EXPECT_EQ(*ParseNumber("1e2"), 100);
  EXPECT_EQ(*ParseNumber("+010"), 10);
  for (const char* text : {"", " 1", "1 ", "0x10", "inf", "-inf", "nan", "1e400", "1,5", "."}) {
    EXPECT_FALSE(ParseNumber(text).ok()) << text;
  }
}

}  // namespace
}  // namespace kvla
